//! What counts as an assignment of a secret, and what does not.

use super::*;

fn found(text: &str) -> Option<(&str, Certainty)> {
    found_in(text, false)
}

fn found_in(text: &str, code: bool) -> Option<(&str, Certainty)> {
    let lower = text.to_ascii_lowercase();
    let at =
        ["pass", "token", "secret", "_key", "pwd"].iter().filter_map(|a| lower.find(a)).min()?;
    read(text.as_bytes(), at, code).map(|(span, certainty)| (text.get(span).unwrap(), certainty))
}

#[test]
fn assignments_in_all_languages() {
    for text in [
        "DB_PASSWORD=@",
        "export DB_PASS='@'",
        "password: @",
        "  \"token\": \"@\",",
        "api_key = \"@\" # x",
        "<password>@</password>",
        "{\\\"secret\\\":\\\"@\\\"}",
        "$cfg['password'] = '@';",
        "secret => \"@\"",
        "url?token=@&x=1",
        "db.password=@",
        "clientSecret: '@'",
        "password1=@",
        "set -x; TOKEN=@ ./run",
    ] {
        let text = text.replace('@', "x7Kq9ZpLm2");
        assert_eq!(found(&text).map(|f| f.0), Some("x7Kq9ZpLm2"), "{text}");
    }
}

#[test]
fn what_is_no_secret() {
    for text in [
        "password_file=/etc/x9/Secret1",
        "PasswordAuthentication=x7Kq9ZpLm2",
        "token_url: x7Kq9ZpLm2",
        "password=${DB_PW}",
        "password = getpass(1)",
        "password == x7Kq9ZpLm2",
        "std::token::x7Kq9ZpLm2",
        "passwd:         files systemd",
        "password=changeme1",
        "secret: /run/secrets/db1",
        "token = self.utf8_token",
        "passwordFile: x7Kq9ZpLm2",
        "password=",
        "tokens: 4096",
        "bypass: x7",
        "token_type=bearer1",
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}

#[test]
fn letters_alone_are_likely_and_expressions_of_code_are_nothing() {
    assert_eq!(found("password: sonnenblume"), Some(("sonnenblume", Certainty::Likely)));
    assert_eq!(found("password=Sommer2024!").map(|f| f.1), Some(Certainty::Sure));
    assert_eq!(found_in("password = other.x7Kq9", true), None);
    assert_eq!(found_in("password = 'x7Kq9ZpLm2'", true), Some(("x7Kq9ZpLm2", Certainty::Sure)));
}
