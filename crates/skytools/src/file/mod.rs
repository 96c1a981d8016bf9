//! Files that are whole or not there.

mod atomic;
mod gzip;

pub use atomic::write_atomically;
pub use gzip::append_gzip;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    /// An empty folder, for a test.
    pub struct Folder(PathBuf);

    impl Folder {
        pub fn new() -> Self {
            Self(nix::unistd::mkdtemp(&std::env::temp_dir().join("skytools-file-XXXXXX")).unwrap())
        }

        pub fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        /// What is in it, sorted.
        pub fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
