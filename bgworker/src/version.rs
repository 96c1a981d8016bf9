//! Which installed SQL this library can serve.

/// The version of this library, which is that of the whole workspace.
pub const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// Whether tables and functions of the installed version are what this library expects: of the same major, and
/// not newer than the library. Newer is what ALTER EXTENSION UPDATE makes of it while the server still runs the
/// library of before; another major is the PgQ 3.5 of SkyTools, or a future that this code does not know.
pub fn understands(library: &str, installed: &str) -> bool {
    match (numbers(library), numbers(installed)) {
        (Some(library), Some(installed)) => library[0] == installed[0] && installed <= library,
        _ => false,
    }
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_its_own_major_up_to_itself() {
        for (library, installed, wanted) in [
            ("4.0.0", "4.0.0", true),
            ("4.2.0", "4.0.9", true),
            ("4.10.0", "4.9.0", true),
            ("4.0.0", "4.0.1", false),
            ("4.0.0", "4.0", true),
            ("4.0.0", "3.5", false),
            ("4.0.0", "5.0.0", false),
            ("4.0.0", "unpackaged", false),
            ("4.0.0", "", false),
        ] {
            assert_eq!(understands(library, installed), wanted, "{library} and {installed}");
        }
    }

    #[test]
    fn the_library_understands_itself() {
        assert!(understands(LIBRARY, LIBRARY));
    }
}
