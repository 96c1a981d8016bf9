//! A journal of systemd's own, in a corner of the machine that nobody else sees.

use serde_json::Value;

use super::programs::failing;
use crate::kit::Workplace;

/// A machine whose `/run` is empty, and what is logged there. Everything in it ends with its first process.
const CORNER: &str = "
    mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mkdir -p /run/systemd/journal /run/log/journal || exit
    /lib/systemd/systemd-journald &
    for i in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
    [ -S /run/systemd/journal/socket ] || exit
    echo ready
    \"$@\"
    for i in $(seq 100); do
        journalctl -D /run/log/journal -t copier -o json > told.json; [ -s told.json ] && break; sleep 0.1
    done
    cat told.json
";

#[test]
fn a_real_journal_keeps_what_a_program_tells() {
    let workplace = Workplace::new();
    let nowhere = workplace.folder().display().to_string();
    failing(
        &workplace,
        &format!("log_handlers = journald\nloop_delay = -1\nsrc_db = host={nowhere},{nowhere}/too dbname=x"),
    );
    let arguments =
        ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"];
    let mut corner = workplace.program("unshare", &arguments);
    corner.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["sh", "-c", CORNER, "corner"]);
    corner.args([env!("CARGO_BIN_EXE_simple_consumer"), "copier.ini"]);
    let (told, why) = match corner.output() {
        Ok(output) => {
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
        Err(error) => (String::new(), error.to_string()),
    };
    let Some(told) = told.strip_prefix("ready\n") else {
        eprintln!("skipped: no journal of its own can be started: {why}");
        return;
    };
    let entries: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entry =
        entries.iter().find(|entry| entry["PRIORITY"] == "3").unwrap_or_else(|| panic!("{told} {why}"));
    let message = entry["MESSAGE"].as_str().unwrap();
    assert!(message.starts_with("Job copier crashed: src_db: ") && message.lines().count() == 2, "{message}");
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "copier");
    assert_eq!(entry["SERVICE_NAME"], "simple_consumer");
    assert_eq!(entry["SYSLOG_PID"], entry["_PID"]);
    assert!(entry["CODE_FILE"].as_str().unwrap().ends_with("rounds.rs"), "{entry}");
    assert!(entry["CODE_LINE"].as_str().unwrap().parse::<u32>().is_ok(), "{entry}");
}
