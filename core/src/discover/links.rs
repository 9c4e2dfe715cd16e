//! Where a link leads that lies in the place of a credential: `~/.bash_history` in another folder,
//! a host key on another disk. What it leads to is the credential, unless the link is a trap.

use super::Scene;
use super::expand::{Except, Found};
use crate::catalogue::{Action, Part, Pattern, Rule};
use crate::root::{FileKind, Links, Meta};
use crate::{ImagePath, Result};

/// What becomes of a link in the place of a credential.
pub(super) enum Leads {
    /// Only the link goes: it leads nowhere, to a directory, to what another user owns, or into
    /// the system.
    Nowhere,
    /// Nothing is kept there, on purpose: the link stays.
    Null,
    /// What it leads to goes too.
    To(Found),
    /// Root made the link, and it leads to a file that no rule may judge.
    Unsure(ImagePath),
}

/// Nobody keeps a history or a key of his own here.
const SYSTEM: [&str; 12] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys",
    "/usr",
];

/// True when `place` names files in homes one by one, so that a link there stands for the file.
pub(super) fn stands_for_its_target(rule: &Rule, place: &Pattern) -> bool {
    let any = |part: Option<&Part>| match part {
        Some(Part::Glob(glob)) => glob == b"*",
        Some(Part::Name(_)) => false,
        Some(Part::Deep) | None => true,
    };
    matches!(rule.action, Action::Delete | Action::Regenerate)
        && place.alternatives().iter().all(|a| a.in_home && !any(a.parts.last()))
}

/// Judges the link that lies in a home.
pub(super) fn in_home(scene: &Scene<'_>, link: &Found, except: &Except<'_>) -> Result<Leads> {
    if scene.root.read_link(&link.path)?.is_some_and(|to| to == b"/dev/null") {
        return Ok(Leads::Null);
    }
    let Some((path, meta)) = file_behind(scene, link, except) else { return Ok(Leads::Nowhere) };
    if is_trap(&link.meta, &meta) || SYSTEM.iter().any(|s| path.starts_with(&ImagePath::literal(s)))
    {
        return Ok(Leads::Nowhere);
    }
    let own = link.meta.uid != 0 || scene.homes.own.iter().any(|home| path.starts_with(home));
    Ok(if own {
        Leads::To(Found { path, meta, links: Links::OwnerMatched })
    } else {
        Leads::Unsure(path)
    })
}

/// The regular file that a link leads to, its path without links.
pub(super) fn file_behind(
    scene: &Scene<'_>,
    link: &Found,
    except: &Except<'_>,
) -> Option<(ImagePath, Meta)> {
    // A circle leads nowhere, and so does a link into procfs.
    let path = scene.root.canonical(&link.path).ok()??;
    let meta = scene.expander.entry(&path, except)?;
    (meta.kind == FileKind::Regular).then_some((path, meta))
}

/// A link that its owner cannot have made to a file of his own: following it would let any user
/// choose what root removes. A second name of a link of root's can be anybody's work.
pub(super) fn is_trap(link: &Meta, target: &Meta) -> bool {
    if link.uid == 0 { link.nlink > 1 } else { link.uid != target.uid }
}
