//! Running other programs, and failing with a sentence.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What went wrong and what to do about it, ready to print.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of every step.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Ends a step with a sentence.
pub fn fail<T>(sentence: impl Into<String>) -> Outcome<T> {
    Err(Failure(sentence.into()))
}

/// Says in our words what an error of the system stopped.
pub trait OrSay<T> {
    /// `what` completes the sentence "cannot …".
    fn or_say(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T> OrSay<T> for io::Result<T> {
    fn or_say(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure(format!("cannot {}: {error}", what())))
    }
}

/// The command as somebody would type it.
pub fn typed(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
        line.push(' ');
        if !argument.is_empty() && argument.chars().all(plain) {
            line.push_str(&argument);
        } else {
            line.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        }
    }
    line
}

/// Runs a command with our input and output; anything but success is a failure.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().or_say(|| format!("run `{}`", typed(command)))?;
    if status.success() { Ok(()) } else { fail(format!("`{}` failed ({status})", typed(command))) }
}

/// Runs a command and returns what it printed; when it fails, what it complained about is in the failure.
pub fn capture(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().or_say(|| format!("run `{}`", typed(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    fail(format!("`{}` failed ({})\n{}", typed(command), output.status, complaint.trim_end()))
}

/// Becomes the command, so that signals and the exit status are its own. Returns only when that is impossible.
pub fn become_it(mut command: Command) -> Outcome {
    let error = command.exec();
    fail(format!("cannot run `{}`: {error}", typed(&command)))
}

/// Runs `cargo test`, showing its output as it comes, and returns how many tests passed.
pub fn count_tests(command: &mut Command) -> Outcome<u64> {
    let mut child = command.stdout(Stdio::piped()).spawn().or_say(|| format!("run `{}`", typed(command)))?;
    let mut passed = 0;
    if let Some(mut output) = child.stdout.take() {
        let (mut chunk, mut line) = ([0; 8192], Vec::new());
        loop {
            let n = output.read(&mut chunk).or_say(|| "read the output of the tests".into())?;
            if n == 0 {
                break;
            }
            // A closed pipe at our end is no reason to stop the tests.
            let _ = io::stdout().write_all(&chunk[..n]).and_then(|()| io::stdout().flush());
            for &byte in &chunk[..n] {
                if byte == b'\n' {
                    passed += tests_passed(&String::from_utf8_lossy(&line));
                    line.clear();
                } else {
                    line.push(byte);
                }
            }
        }
    }
    let status = child.wait().or_say(|| format!("wait for `{}`", typed(command)))?;
    if status.success() { Ok(passed) } else { fail(format!("`{}` failed ({status})", typed(command))) }
}

/// The number in `test result: ok. 12 passed; 0 failed; …`, 0 for any other line.
fn tests_passed(line: &str) -> u64 {
    let Some(result) = line.strip_prefix("test result: ") else { return 0 };
    let before = result.split(" passed").next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Whether we may install packages, and must not run servers ourselves.
pub fn is_root() -> Outcome<bool> {
    Ok(capture(Command::new("id").arg("-u"))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_read_from_the_result_line_only() {
        assert_eq!(tests_passed("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured"), 12);
        assert_eq!(tests_passed("test result: FAILED. 7 passed; 1 failed; 0 ignored"), 7);
        assert_eq!(tests_passed("test surface::result: ok. 5 passed ... ok"), 0);
        assert_eq!(tests_passed("running 3 tests"), 0);
    }

    #[test]
    fn a_command_is_shown_so_that_it_can_be_typed_again() {
        let mut command = Command::new("cargo");
        command.args(["test", "--", "two words", "it's", ""]);
        assert_eq!(typed(&command), r"cargo test -- 'two words' 'it'\''s' ''");
    }

    #[test]
    fn a_failing_run_of_tests_is_a_failure() {
        assert!(count_tests(&mut Command::new("false")).is_err());
        assert_eq!(count_tests(&mut Command::new("true")).expect("true succeeds"), 0);
    }
}
