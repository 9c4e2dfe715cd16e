//! sshd(8), AUTHORIZED_KEYS FILE FORMAT: lines that policy does not keep go.

use zeroize::Zeroizing;

use super::{Edit, lines};
use crate::text::authorized_keys::{self, Line};
use crate::text::public_key;

pub(super) fn run(text: &[u8], edits: &[Edit]) -> Zeroizing<Vec<u8>> {
    let keep: Vec<&String> = edits
        .iter()
        .filter_map(|e| if let Edit::KeepKeys { keep } = e { Some(keep) } else { None })
        .flatten()
        .collect();
    let stays: Vec<usize> = authorized_keys::lines(text)
        .filter_map(|line| match line {
            Line::Key(key) => {
                keep.contains(&&public_key::fingerprint(&key.blob)).then_some(key.number)
            }
            Line::Skipped { .. } => None,
        })
        .collect();
    lines(text)
        .enumerate()
        .filter(|(i, _)| stays.contains(&(i + 1)))
        .flat_map(|(_, line)| line.iter().copied())
        .collect::<Vec<u8>>()
        .into()
}
