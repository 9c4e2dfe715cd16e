//! Accounts are a list in JSON (easier to read and to diff), a map in the program.

use std::collections::BTreeMap;

use serde::{Deserialize as _, Deserializer, Serializer};

use super::Account;

pub(super) fn serialize<S: Serializer>(
    accounts: &BTreeMap<String, Account>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(accounts.values())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Account>, D::Error> {
    let list = Vec::<Account>::deserialize(deserializer)?;
    let mut accounts = BTreeMap::new();
    accounts.extend(list.into_iter().map(|a| (a.name.clone(), a)));
    Ok(accounts)
}
