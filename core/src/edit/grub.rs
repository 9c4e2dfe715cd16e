//! Passwords of GRUB: `password` and `password_pbkdf2` in a menu, `GRUB2_PASSWORD` in user.cfg. The
//! superusers go with them: a menu that asks for a user without a password cannot be opened.

use super::Cut;
use super::line::lines;
use super::value::is_secret;

/// The passwords in `text`, and where there is one, the superusers.
pub(super) fn find(text: &[u8]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut users = Vec::new();
    for line in lines(text) {
        let body = line.trimmed();
        let words: Vec<&[u8]> =
            body.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
        let (name, value) = match words.as_slice() {
            [b"password" | b"password_pbkdf2", _, secret, ..] => (&b"password"[..], *secret),
            [b"set", user, ..] if user.starts_with(b"superusers=") => {
                users.push(Cut::new(line.start..line.end, b"superusers"));
                continue;
            }
            [first, ..] => match first.strip_prefix(b"GRUB2_PASSWORD=") {
                Some(secret) => (&b"GRUB2_PASSWORD"[..], secret),
                None => continue,
            },
            [] => continue,
        };
        if is_secret(value) && !value.starts_with(b"\\$") {
            cuts.push(Cut::around(line.start..line.end, line.place_of(value), name));
        }
    }
    if !cuts.is_empty() {
        cuts.extend(users);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Edit, Format, run};

    fn edited(text: &str) -> String {
        let edits: Vec<Edit> = find(text.as_bytes()).into_iter().map(Edit::Cut).collect();
        String::from_utf8(run(Format::Spans, text.as_bytes(), &edits).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn passwords_go_with_their_users() {
        let old = "exec tail -n +3 $0\nset superusers=\"a\"\npassword_pbkdf2 a grub.pbkdf2.sha512.1.A.B\nmenuentry x {\n}\n";
        assert_eq!(edited(old), "exec tail -n +3 $0\nmenuentry x {\n}\n");
        assert_eq!(edited("GRUB2_PASSWORD=grub.pbkdf2.sha512.1.A.B\n"), "");
    }

    #[test]
    fn what_refers_to_a_password_stays() {
        let text = "set superusers=\"root\"\npassword_pbkdf2 root ${GRUB2_PASSWORD}\npassword_pbkdf2 root \\${GRUB2_PASSWORD}\n";
        assert_eq!(edited(text), text);
    }
}
