//! Puts public keys into an account's login file.

use disinherit_core::accounts::{Account, Accounts};
use disinherit_core::root::{Links, Root};
use disinherit_core::sshd::{Config, Who};
use disinherit_core::{Error, ImagePath, Result, change};

use crate::edit::{self, edit};
use crate::logins;

/// Appends those lines of `lines` whose keys are not yet in the first login file that sshd reads for
/// `user`. File and folder are made where they are missing, owned by the user.
///
/// # Errors
/// When there is no such account or login file, or it cannot be written.
pub fn deliver(root: &Root, user: &str, lines: &[u8]) -> Result<()> {
    let accounts = Accounts::load(root)?;
    let account = accounts
        .by_name(user.as_bytes())
        .ok_or_else(|| Error::failed("find the account", user).remedy("create it first"))?;
    let (config, _problems) = Config::load(root)?;
    let who = Who::new(accounts.user(account));
    let path = config.effective_login_files(&who).into_iter().next().ok_or_else(|| {
        Error::failed("find a login file of", user).remedy("sshd reads none for this account")
    })?;
    if root.stat(&path)?.is_none() {
        return make(root, account, &path, lines);
    }
    let missing = |now: &[u8]| logins::merge(now, lines, &Default::default());
    edit(root, &path, Links::OwnerMatched, |now| Ok(Some(missing(now))))?;
    Ok(())
}

fn make(root: &Root, account: &Account, path: &ImagePath, lines: &[u8]) -> Result<()> {
    let gid = account.gid.unwrap_or(account.uid);
    if let Some(folder) = path.parent() {
        make_folder(root, account.uid, gid, &folder)?;
    }
    let target = root
        .target_followed(path, Links::OwnerMatched)?
        .ok_or_else(|| Error::failed("create", path).remedy("make its folder"))?;
    let mut text = logins::merge(b"", lines, &Default::default());
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    change::create(&target, &text, 0o600, account.uid, gid)
}

/// One level only: a home that is missing is not made here.
fn make_folder(root: &Root, uid: u32, gid: u32, folder: &ImagePath) -> Result<()> {
    if root.stat(folder)?.is_some() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or_else(ImagePath::root);
    if root.stat(&parent)?.is_none() {
        return Err(Error::failed("find the home", parent).remedy("create it first"));
    }
    change::make_dir_of(root, folder, 0o700, uid, gid)
}

/// The largest file of keys that is taken.
pub const LIMIT: u64 = edit::LIMIT;
