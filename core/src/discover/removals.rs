//! Accounts that policy removes: rows, memberships, home, mail, crontab.

use super::Scene;
use super::accounts::{Loaded, load};
use super::expand::{Except, Found};
use crate::edit::{Edit, Format, escaped_name, run};
use crate::facts::{Hit, Target};
use crate::path::escape;
use crate::plan::REMOVE_USERS;
use crate::root::{FileKind, Links};
use crate::text::{Passwd, Shadow};
use crate::{Error, ImagePath, Result};

/// The account files and their formats.
const FILES: &[(&str, Format)] = &[
    ("/etc/passwd", Format::Passwd),
    ("/etc/shadow", Format::Shadow),
    ("/etc/group", Format::Group),
    ("/etc/gshadow", Format::Gshadow),
    ("/etc/subuid", Format::Subid),
    ("/etc/subgid", Format::Subid),
];

/// Places that belong to one account beside its home.
const PLACES: &[&str] = &[
    "/var/mail",
    "/var/spool/mail",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/lib/systemd/linger",
];

/// Hits of the pseudo rule `remove-users` for every account that policy removes.
///
/// # Errors
/// [`crate::Kind::Usage`] for an account with uid 0; the image would not work without it.
pub(super) fn look(scene: &mut Scene<'_>) -> Result<()> {
    for user in scene.settings.remove_users.clone() {
        let account = scene.facts.accounts.iter().find(|a| a.name == user).cloned();
        if account.as_ref().is_some_and(|a| a.uid == 0) {
            return Err(Error::usage("remove the user", escape(&user))
                .remedy("it has uid 0; take it out of remove_users"));
        }
        for (file, format) in FILES {
            let path = ImagePath::literal(file);
            if let Some(loaded) = load(scene.root, &path)? {
                records(scene, &path, &loaded, *format, &user);
            }
        }
        for place in PLACES {
            if let Some(path) = ImagePath::literal(place).join(&user) {
                tree(scene, path, Links::InRoot, &user)?;
            }
        }
        if let Some(home) = account.and_then(|a| ImagePath::new(&a.home)) {
            home_of(scene, &home, &user)?;
        }
    }
    Ok(())
}

/// The home goes when it is one at all and no account that stays has it, or one inside it.
fn home_of(scene: &mut Scene<'_>, home: &ImagePath, user: &[u8]) -> Result<()> {
    let real = |path: &ImagePath| scene.root.canonical(path).ok().flatten();
    let Some(place) = real(home) else { return Ok(()) };
    let known = scene.homes.own.iter().any(|h| real(h).as_ref() == Some(&place));
    let needed = scene.facts.accounts.iter().any(|a| {
        !scene.settings.remove_users.contains(&a.name)
            && ImagePath::new(&a.home).and_then(|h| real(&h)).is_some_and(|h| h.starts_with(&place))
    });
    if !known || needed {
        return Ok(());
    }
    // `/home/ann` may be a link to `/data/ann`; one on the way to it is not the user's.
    let link = scene.root.lstat(home)?.is_some_and(|meta| meta.kind == FileKind::Symlink);
    if link {
        tree(scene, home.clone(), Links::InRoot, user)?;
    }
    tree(scene, place, Links::InRoot, user)
}

fn tree(scene: &mut Scene<'_>, path: ImagePath, links: Links, user: &[u8]) -> Result<()> {
    let Some(meta) = scene.root.lstat(&path)? else { return Ok(()) };
    let except = Except::new(&[], &scene.settings.allow.paths);
    for found in scene.expander.tree(&Found { path, meta, links }, &except) {
        hit(scene, &found.path, &found.meta, Target::Inode, user);
    }
    Ok(())
}

fn records(scene: &mut Scene<'_>, path: &ImagePath, loaded: &Loaded, format: Format, user: &[u8]) {
    let (text, meta) = loaded;
    let rows: Vec<usize> = match format {
        Format::Passwd => {
            let file = Passwd::parse(text);
            file.entries().filter(|e| e.name == user).map(|e| e.index).collect()
        }
        Format::Shadow => {
            let file = Shadow::parse(text);
            file.entries().filter(|e| e.name == user).map(|e| e.index).collect()
        }
        _ => Vec::new(),
    };
    let mut edits: Vec<Edit> = rows.into_iter().map(|row| Edit::RemoveRow { row }).collect();
    if matches!(format, Format::Group | Format::Gshadow) {
        edits.push(Edit::RemoveMember { user: escaped_name(user) });
    } else if format == Format::Subid {
        edits.push(Edit::RemoveSubid { user: escaped_name(user) });
    }
    for edit in edits {
        let same = run(format, text, std::slice::from_ref(&edit)).is_ok_and(|new| *new == **text);
        if !same {
            hit(scene, path, meta, Target::Record { format, edit }, user);
        }
    }
}

fn hit(
    scene: &mut Scene<'_>,
    path: &ImagePath,
    meta: &crate::root::Meta,
    what: Target,
    user: &[u8],
) {
    scene.facts.hits.push(Hit {
        rule: REMOVE_USERS.to_owned(),
        path: path.clone(),
        what,
        meta: meta.clone(),
        links: Links::InRoot,
        subject: Some(escape(user).into_owned()),
    });
}
