//! The table of mounts, proc_pid_mountinfo(5), and whose each of them is.

use std::collections::BTreeSet;

use super::{LOCAL, Mount};
use crate::ImagePath;
use crate::path::escape;

/// Whose mounts are looked at, and from where.
pub(super) struct View {
    pub(super) host: ImagePath,
    pub(super) live: bool,
    pub(super) container: bool,
}

/// What all mounts together say about one.
pub(super) struct Table<'a> {
    view: &'a View,
    /// The identity of each mount: number, parent and point.
    points: Vec<(u64, u64, Vec<u8>)>,
    /// The file system that holds the root, and where in it the root lies.
    root: Option<(String, ImagePath)>,
    /// File systems of which all is mounted somewhere in the tree.
    whole: BTreeSet<String>,
    /// File systems that are mounted outside of the root too.
    outside: BTreeSet<String>,
}

impl<'a> Table<'a> {
    pub(super) fn of(lines: &[Line], view: &'a View) -> Self {
        let points = lines.iter().map(|l| (l.id, l.parent, l.point.clone())).collect();
        let mut table =
            Self { view, points, root: None, whole: BTreeSet::new(), outside: BTreeSet::new() };
        let mut best = None;
        for line in lines {
            if table.hides(line) {
                continue;
            }
            let Some(point) = ImagePath::new(&line.point) else { continue };
            if view.host.starts_with(&point) && best.as_ref().is_none_or(|b| *b <= point) {
                let rest: Vec<&[u8]> =
                    view.host.components().skip(point.components().count()).collect();
                let inside = ImagePath::new(&line.inside).and_then(|i| i.join(rest.join(&b'/')));
                table.root = inside.map(|inside| (line.device.clone(), inside));
                best = Some(point);
            }
        }
        for line in lines {
            if below(&line.point, view.host.as_bytes()).is_none() {
                table.outside.insert(line.device.clone());
            } else if line.inside == "/" && !table.hides(line) {
                table.whole.insert(line.device.clone());
            }
        }
        table
    }

    /// True when another mount lies on top of this one, or of a folder on the way to it.
    pub(super) fn hides(&self, line: &Line) -> bool {
        let on_top = |(id, parent, point): &(u64, u64, Vec<u8>)| {
            *id != line.id && *parent == line.id && *point == line.point
        };
        self.points.iter().any(on_top) || self.is_shadowed(line.id, self.points.len())
    }

    fn is_shadowed(&self, id: u64, depth: usize) -> bool {
        let Some((_, parent, point)) = self.points.iter().find(|(other, _, _)| *other == id) else {
            return false;
        };
        let is_below =
            |upper: &[u8]| point.strip_prefix(upper).is_some_and(|rest| rest.starts_with(b"/"));
        let beside =
            |(other, its, at): &(u64, u64, Vec<u8>)| *other != id && its == parent && is_below(at);
        depth > 0
            && (self.points.iter().any(beside)
                || *parent != id && self.is_shadowed(*parent, depth - 1))
    }

    /// Whether the mount is a part of the tree: a folder of it under another name, or a file system
    /// on a block device that nobody else uses.
    pub(super) fn belongs(&self, line: &Line, new_device: bool) -> bool {
        let same = self.root.as_ref().filter(|(device, _)| *device == line.device);
        let inside = ImagePath::new(&line.inside);
        if same.zip(inside).is_some_and(|((_, root), inside)| inside.starts_with(root)) {
            return true;
        }
        let local = LOCAL.contains(&line.fstype.as_str()) && line.source.starts_with("/dev/");
        if !local || !self.view.live && self.outside.contains(&line.device) {
            return false;
        }
        // Beside the root in one file system: subvolumes of btrfs, /var of OSTree. In a container
        // the host's folders look the same.
        let subvolume = line.fstype == "btrfs" && new_device;
        let beside = subvolume || self.view.live && self.whole.contains(&line.device);
        match same {
            Some(_) => beside && !(self.view.live && self.view.container),
            None => self.whole.contains(&line.device),
        }
    }
}

/// A line of mountinfo.
#[derive(Debug)]
pub(super) struct Line {
    id: u64,
    parent: u64,
    /// `major:minor`, one for all subvolumes of a btrfs.
    device: String,
    pub(super) point: Vec<u8>,
    pub(super) inside: String,
    pub(super) fstype: String,
    pub(super) source: String,
    pub(super) read_only: bool,
}

impl Line {
    pub(super) fn mount(&self, at: ImagePath) -> Mount {
        Mount {
            at,
            fstype: self.fstype.clone(),
            source: self.source.clone(),
            read_only: self.read_only,
            inside: self.inside.clone(),
        }
    }
}

pub(super) fn parse(table: &[u8]) -> Vec<Line> {
    table.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /inside /point rw,noatime shared:1 - ext4 /dev/root rw`
pub(super) fn parse_line(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|b| *b == b' ');
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    // Any user can name the source of a FUSE mount: it is shown escaped.
    let text = |bytes: &[u8]| escape(bytes).into_owned();
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let device = text(fields.next()?);
    let inside = unoctal(fields.next()?);
    let point = unoctal(fields.next()?);
    let options = fields.next()?;
    let mut rest = fields.skip_while(|f| *f != b"-").skip(1);
    let fstype = text(rest.next()?);
    let source = text(&unoctal(rest.next()?));
    let super_options = rest.next().unwrap_or_default();
    let has_ro = |list: &[u8]| list.split(|b| *b == b',').any(|o| o == b"ro");
    let read_only = has_ro(options) || has_ro(super_options);
    Some(Line { id, parent, device, point, inside: text(&inside), fstype, source, read_only })
}

/// mountinfo writes space, tab, newline and backslash as `\NNN`.
pub(crate) fn unoctal(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, below)) = rest.split_first() {
        let digits = below.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(value) if *byte == b'\\' => {
                out.push(value);
                rest = below.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = below;
            }
        }
    }
    out
}

/// `point` seen from `host`, `None` when it does not lie below.
pub(super) fn below(point: &[u8], host: &[u8]) -> Option<ImagePath> {
    let (point, host) = (ImagePath::new(point)?, ImagePath::new(host)?);
    if !point.starts_with(&host) {
        return None;
    }
    let depth = host.components().count();
    ImagePath::new(point.components().skip(depth).collect::<Vec<_>>().join(&b'/'))
}
