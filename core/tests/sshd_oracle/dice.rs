//! Configurations that nobody would write, the same ones in every run.

/// A small generator of numbers (xorshift), so that a failure can be repeated.
struct Dice(u64);

/// A main file and three that may be included; the same ones for each `seed`.
pub(crate) fn made_up(seed: u64) -> [(&'static str, String); 4] {
    let mut dice = Dice::new(seed);
    let mut number = 0..;
    ["sshd_config", "f1", "f2", "f3"]
        .map(|name| (name, dice.file(number.next().unwrap_or_default())))
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed))
    }

    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn condition(&mut self) -> String {
        if self.below(6) == 0 {
            return "all".to_string();
        }
        let criteria = [
            "User root",
            "User *,!root",
            "user no*,daemon",
            "Group root",
            "group \"no*\"",
            "Address 10.0.0.0/8,::1",
            "Address *,!127.*",
            "Host *.example.*",
            "LocalPort=22",
        ];
        let first = self.pick(&criteria);
        let second = if self.below(2) == 0 { self.pick(&criteria) } else { "" };
        format!("{first} {second}")
    }

    /// Lines that sshd accepts; includes name later files only.
    fn file(&mut self, number: usize) -> String {
        let mut text = String::new();
        for _ in 0..2 + self.below(7) {
            let value = 1 + self.below(9);
            let line = match self.below(12) {
                0..3 => format!("Match {}", self.condition()),
                3 if number < 3 => format!("Include {}", ["f[123]", "f[23]", "f3"][number]),
                4 => format!("AllowUsers u{value}"),
                5 => format!("AuthorizedKeysFile /k{value} \"k {value}\""),
                6 => format!("PasswordAuthentication {}", self.pick(&["yes", "no"])),
                7 | 8 => format!("MaxSessions={value}"),
                _ => format!("  maxauthtries {value}  # {value}"),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}
