//! Putting files where they belong, by rename: whoever has the old one open keeps it whole.

use crate::command::{OrSay, Outcome};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process;

/// A file to install.
pub struct Piece {
    /// Its name in the folder.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
}

/// Writes each file beside its place and renames it.
pub fn place(pieces: &[Piece], folder: &Path) -> Outcome {
    fs::create_dir_all(folder).or_say(|| format!("make {}", folder.display()))?;
    for piece in pieces {
        let (beside, place) =
            (folder.join(format!(".{}.{}", piece.name, process::id())), folder.join(&piece.name));
        fs::write(&beside, &piece.bytes)
            .and_then(|()| fs::set_permissions(&beside, Permissions::from_mode(piece.mode)))
            .and_then(|()| fs::rename(&beside, &place))
            .or_say(|| format!("install {}", place.display()))?;
    }
    Ok(())
}

/// Makes `name` in the folder another name of `of`, which lies there, too.
pub fn link(folder: &Path, name: &str, of: &str) -> Outcome {
    let (beside, place) = (folder.join(format!(".{name}.{}", process::id())), folder.join(name));
    symlink(of, &beside)
        .and_then(|()| fs::rename(&beside, &place))
        .or_say(|| format!("install {}", place.display()))
}
