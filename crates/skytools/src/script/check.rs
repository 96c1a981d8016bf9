//! `--check-config`: all that is wrong with an INI file, at once.

use crate::Result;
use crate::script::Loader;

/// What to print, and the exit status. What is allowed but odd is told, and no error.
pub fn report(loader: &Loader) -> Result<(String, u8)> {
    let (section, reading) = loader.read()?;
    let errors: Vec<&String> =
        [&reading.wrong, &reading.missing, &reading.unknown].into_iter().flatten().collect();
    let mut told = String::new();
    for warning in &reading.warnings {
        told.push_str(&format!("warning: {warning}\n"));
    }
    for error in &errors {
        told.push_str(&format!("error: {error}\n"));
    }
    if errors.is_empty() {
        told.push_str(&format!("{}: section [{section}] is fine\n", loader.file().display()));
    }
    Ok((told, u8::from(!errors.is_empty())))
}
