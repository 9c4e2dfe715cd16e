//! Text options that take one of a few words.

/// Declares an enum of words that a text option can have.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            pub(super) const WORDS: &[(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            /// The word of the template and of the guest program's command line.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl clap::ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant,)+]
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(clap::builder::PossibleValue::new(self.word()))
            }
        }
    };
}

words! {
    /// How free space and journal are treated.
    Erase {
        /// What this guest allows.
        Auto = "auto",
        /// FITRIM.
        Trim = "trim",
        /// Overwrite free blocks that are not zero.
        Fill = "fill",
        /// Only the files that the scrub itself removes.
        Files = "files",
        /// Not at all.
        Off = "off",
    }
}
words! {
    /// How much of the raw disk is searched.
    Proof {
        /// All of it.
        Full = "full",
        /// The blocks that were changed or freed.
        Touched = "touched",
        /// Nothing.
        Off = "off",
    }
}
words! {
    /// What happens to a sure hit of the content scan in an unusual place.
    Content {
        /// It becomes a finding.
        Report = "report",
        /// The file is removed.
        Remove = "remove",
    }
}
words! {
    /// The severity from which findings fail the build.
    FailOn {
        /// Low and worse.
        Low = "low",
        /// Medium and worse.
        Medium = "medium",
        /// High and worse.
        High = "high",
        /// Critical only.
        Critical = "critical",
    }
}
words! {
    /// Whether the guest switches itself off after the scrub.
    PowerOff {
        /// As the builder needs it.
        Auto = "auto",
        /// Yes.
        Yes = "true",
        /// No.
        No = "false",
    }
}
words! {
    /// What becomes of a rule of the catalogue.
    Switch {
        /// It acts.
        On = "on",
        /// It is not looked at.
        Off = "off",
        /// It reports and changes nothing.
        Report = "report",
    }
}
