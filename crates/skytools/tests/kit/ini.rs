//! INI files for programs.

/// The text of an INI file with one section. Values are written as they stand: `%` is doubled here.
pub fn ini(section: &str, pairs: &[(&str, &str)]) -> String {
    let lines = pairs.iter().map(|(key, value)| format!("{key} = {}\n", value.replace('%', "%%")));
    format!("[{section}]\n") + &lines.collect::<String>()
}
