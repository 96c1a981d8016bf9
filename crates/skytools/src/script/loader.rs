//! What a configuration is read from, kept so that it can be read again.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::script::ini::Ini;
use crate::script::reading::{Layers, Reading, built_in};
use crate::script::{Config, Key, KeyGroup};
use crate::{Error, Result};

/// The sources of a [`Config`]: an INI file, and what overrides it.
#[derive(Clone)]
pub struct Loader {
    file: PathBuf,
    sections: Vec<&'static str>,
    keys: Vec<Key>,
    overrides: Vec<(String, String)>,
    pidfile: PidFile,
}

/// Without what overrides the file: `--set` may hold a password.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loader").field(&self.file).finish()
    }
}

/// Which process file the keys' `pidfile` is to this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidFile {
    /// As the file says.
    AsSet,
    /// Beside that of the daemon: with `.admin` appended.
    Admin,
    /// None: what only looks may run at any time.
    None,
}

impl Loader {
    /// Of the first of `sections` that `file` has. Of two keys of a name, the one of the later group holds.
    pub(super) fn new(
        file: PathBuf,
        sections: &[&'static str],
        groups: &[KeyGroup],
        overrides: Vec<(String, String)>,
    ) -> Self {
        let keys = most_specific(groups.iter().map(|group| group.keys));
        Self { file, sections: sections.to_vec(), keys, overrides, pidfile: PidFile::AsSet }
    }

    /// For a run with another process file.
    pub(super) const fn with_pidfile(mut self, pidfile: PidFile) -> Self {
        self.pidfile = pidfile;
        self
    }

    /// Reads it, now or again. Every value that is set is what its key wants, or this fails.
    pub fn load(&self) -> Result<Config> {
        let (service, mut reading) = self.read()?;
        if !reading.wrong.is_empty() {
            return Err(Error::usage(reading.wrong.join("; ")));
        }
        match self.pidfile {
            PidFile::AsSet => {}
            PidFile::Admin => {
                reading.values.entry("pidfile".to_owned()).and_modify(|path| path.push_str(".admin"));
            }
            PidFile::None => {
                reading.values.remove("pidfile");
            }
        }
        Ok(Config::new(service, self.keys.clone(), reading))
    }

    /// Reads it to tell all that is wrong with it.
    pub(super) fn read(&self) -> Result<(String, Reading)> {
        let ini = Ini::read(&self.file)?;
        let service = self.sections.iter().find(|name| ini.section(name).is_some()).ok_or_else(|| {
            let names: Vec<String> = ini.sections().map(|name| format!("[{name}]")).collect();
            let has = if names.is_empty() { "no section".to_owned() } else { names.join(", ") };
            Error::usage(format!(
                "{} has no section [{}]; it has {has}",
                self.file.display(),
                self.sections[0]
            ))
        })?;
        let reading = Layers {
            ini: &ini,
            section: service,
            keys: &self.keys,
            overrides: &self.overrides,
            built_in: &built_in(service, Some(&self.file))?,
        }
        .read()?;
        Ok(((*service).to_owned(), reading))
    }

    /// The INI file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// All keys, those of the last group first; a key that an earlier group has too is the later one's.
pub fn most_specific<'k>(groups: impl DoubleEndedIterator<Item = &'k [Key]>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in groups.rev().flatten() {
        if keys.iter().all(|known| known.name != key.name) {
            keys.push(*key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::TempDir;

    use super::*;
    use crate::script::Kind;

    type Values<'a> = &'a [(&'static str, &'a str)];

    /// Files as they were written for the versions they are named after.
    #[test]
    fn files_of_older_versions_are_read_unchanged() {
        let host = nix::unistd::gethostname().unwrap().to_string_lossy().into_owned();
        let consumer = format!("simple_consumer-3_{host}");
        let read: [(&str, &str, Values<'_>); 13] = [
            (
                "table_dispatcher-2.1",
                "table_dispatcher",
                &[
                    ("job_name", "table_dispatcher_source_table_targetdb"),
                    ("pgq_queue_name", "sourceq"),
                    ("logfile", "log/table_dispatcher_source_table_targetdb.log"),
                    ("fields", "id, order_date, customer_name"),
                    (
                        "part_template",
                        "create table _DEST_TABLE () inherits (orders);\n\
                         alter table only _DEST_TABLE add constraint _DEST_TABLE_pkey primary key (id);\n\
                         grant select on _DEST_TABLE to group reporting;",
                    ),
                ],
            ),
            (
                "cube_dispatcher-2.1",
                "cube_dispatcher",
                &[
                    ("pidfile", "~/pid/some_queue_to_cube.pid"),
                    (
                        "part_template",
                        "create table _DEST_TABLE (like _PARENT);\n\
                         alter table only _DEST_TABLE add primary key (_PKEY);\n\
                         -- the reports of the month\n\
                         grant select on _DEST_TABLE to public;",
                    ),
                ],
            ),
            (
                "londiste-2.1",
                "londiste",
                &[
                    ("provider_db", "dbname=provider port=6000 host=127.0.0.1"),
                    ("subscriber_db", "dbname=subscriber"),
                    ("pgq_queue_name", "londiste.replika"),
                    ("use_skylog", "0"),
                ],
            ),
            ("pgqadm-2.1", "pgqadm", &[("loop_delay", "0.5"), ("maint_delay_min", "5")]),
            (
                "wal-master-2.1",
                "wal-master",
                &[
                    ("full_backup", "slave.host:/var/lib/postgresql/walshipping/data.master"),
                    ("loop_delay", "10.0"),
                ],
            ),
            (
                "wal-slave-3",
                "walmgr",
                &[
                    ("slave_start_cmd", "/etc/init.d/postgresql-9.1 start"),
                    ("config_backup", "~/walshipping/config.backup"),
                    ("archive_command", ""),
                    ("primary_conninfo", "host=master port=5432 user=walmgr"),
                ],
            ),
            (
                "londiste-3",
                "londiste3",
                &[
                    ("job_name", "londiste-3"),
                    ("handler_modules", ""),
                    ("compare_fmt", "%(cnt)d rows, checksum=%(chksum)s"),
                    ("logfmt_file", "%(asctime)s %(process)s %(levelname)s %(message)s"),
                ],
            ),
            (
                "queue_mover-3",
                "queue_mover3",
                &[
                    ("logfile", "~/log/eventlog_to_target_mover.log"),
                    ("dst_db", "dbname=newqueue host=127.0.0.1"),
                ],
            ),
            (
                "simple_consumer-3",
                "simple_consumer3",
                &[
                    ("dst_query", "select * from some_function(%(id)s, %(name)s,\n%(pgq.ev_extra1)s);"),
                    ("consumer_name", &consumer),
                ],
            ),
            ("pgqd", "pgqd", &[("logfile", "~/log/pgqd.log"), ("syslog", "0"), ("database_list", "db1,db2")]),
            ("scriptmgr-2.1", "scriptmgr", &[("config_list", "~/dbscripts/conf/*.ini, ~/random/conf/*.ini")]),
            ("scriptmgr-2.1", "cube_dispatcher", &[("script", "cube_dispatcher.py"), ("args", "-v")]),
            ("scriptmgr-2.1", "pgqadm", &[("script", "pgqadm.py"), ("args", "ticker")]),
        ];
        for (file, section, values) in read {
            let path = PathBuf::from(format!("{}/tests/ini/{file}.ini", env!("CARGO_MANIFEST_DIR")));
            let keys: Vec<Key> = values.iter().map(|(key, _)| Key::optional(key, Kind::Text, "")).collect();
            let groups = [crate::script::COMMON_KEYS, KeyGroup { title: "", keys: keys.leak() }];
            let config = Loader::new(path, &[section], &groups, Vec::new()).load().unwrap();
            assert_eq!(config.warnings(), [""; 0], "{file}");
            for (key, value) in values {
                assert_eq!(config.optional(key).unwrap_or_default(), *value, "{file}: {key}");
            }
        }
    }

    struct File {
        path: PathBuf,
        _folder: TempDir,
    }

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(format!("{name}.ini"));
            std::fs::write(&path, text).unwrap();
            Self { path, _folder: folder }
        }

        fn loader(&self, overrides: &[(&str, &str)]) -> Loader {
            const KEYS: &[Key] = &[
                Key::required("queue_name", Kind::Text, "").aliases(&["pgq_queue_name"]),
                Key::with_default("consumer_name", Kind::Text, "%(job_name)s", ""),
                Key::optional("note", Kind::Text, ""),
            ];
            let groups = [crate::script::COMMON_KEYS, KeyGroup { title: "", keys: KEYS }];
            let overrides =
                overrides.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
            Loader::new(self.path.clone(), &["copier", "copier3"], &groups, overrides)
        }

        fn text(&self, key: &str, overrides: &[(&str, &str)]) -> String {
            self.loader(overrides).load().unwrap().text(key).unwrap().to_owned()
        }

        fn error(&self) -> String {
            self.loader(&[]).load().unwrap_err().to_string().replace(&*self.path.to_string_lossy(), "FILE")
        }
    }

    #[test]
    fn what_comes_later_overrides() {
        let file = File::new(
            "layers",
            "[DEFAULT]\nnote = default\nexception_grace = 5\n[copier3]\npgq_queue_name = old\n",
        );
        assert_eq!(file.loader(&[]).load().unwrap().service_name(), "copier3");
        assert_eq!(file.text("note", &[]), "default");
        assert_eq!(file.text("exception_grace", &[]), "5");
        assert_eq!(file.text("queue_name", &[]), "old");
        assert_eq!(
            file.text("queue_name", &[("queue_name", "new")]),
            "new",
            "--set is applied last, whatever the name"
        );
        assert_eq!(file.text("note", &[("note", "%(queue_name)s!")]), "old!");
        assert_eq!(file.text("note", &[("note", "1"), ("note", "2")]), "2");
        let stem = file.path.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(file.text("consumer_name", &[]), stem, "a default refers to what is built in");
        let folder = file.path.parent().unwrap().to_string_lossy().into_owned();
        assert_eq!(file.text("note", &[("note", "%(config_dir)s")]), folder);
        assert_eq!(file.text("note", &[("note", "%(config_file)s")]), file.path.to_string_lossy());
        assert_eq!(file.text("note", &[("note", "%(service_name)s")]), "copier3");
        assert_eq!(
            file.text("consumer_name", &[("job_name", "j")]),
            "j",
            "what is built in can be overridden"
        );
        assert_eq!(file.text("note", &[("note", "%(consumer_name)s")]), stem, "references reach defaults");
    }

    #[test]
    fn format_two_is_asked_for_in_the_file() {
        let file = File::new(
            "format",
            "[DEFAULT]\nconfig_format = 2\n[paths]\nlog = /log/${copier:queue_name}\n[copier]\nqueue_name = q\n\
             note = ${paths:log} 100% $$x ${job_name}\njob_name = 5%\n",
        );
        assert_eq!(file.text("note", &[]), "/log/q 100% $x 5%");
        assert_eq!(file.text("consumer_name", &[]), "5%", "the defaults of keys keep their own form");
        let file = File::new("format-3", "[copier]\nconfig_format = 3\n");
        assert_eq!(file.error(), "config_format is 1 or 2, not \"3\"");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (name, text, expected) in [
            ("none", "", "FILE has no section [copier]; it has no section"),
            ("other", "[x]\n[y]\n", "FILE has no section [copier]; it has [x], [y]"),
            (
                "value",
                "[copier]\n\nloop_delay = 1 ; second\n",
                "FILE:3: config parameter loop_delay: \"1 ; second\" is no number",
            ),
            (
                "loop",
                "[copier]\nnote = %(queue_name)s\npgq_queue_name = %(note)s\n",
                "FILE:3: config parameter queue_name: refers to itself: queue_name -> note -> queue_name; \
                 FILE:2: config parameter note: refers to itself: note -> queue_name -> note",
            ),
            ("syntax", "[copier]\nxyz\n", "FILE:2: neither [section] nor key = value nor # comment"),
        ] {
            assert_eq!(File::new(name, text).error(), expected);
        }
        let gone = File::new("gone", "");
        std::fs::remove_file(&gone.path).unwrap();
        assert_eq!(gone.error(), "read FILE: No such file or directory (os error 2)");
    }

    #[test]
    fn a_key_that_only_others_refer_to_is_known() {
        let file =
            File::new("helper", "[copier]\nbase = /x\nnote = %(base)s\nnoet = y\nxyz = 1\nhost_name = h\n");
        let config = file.loader(&[]).load().unwrap();
        let unknown: Vec<&str> =
            config.unknown().iter().filter_map(|told| told.split(": config ").nth(1)).collect();
        assert_eq!(unknown, ["parameter noet: is not known; note is", "parameter xyz: is not known"]);
    }

    #[test]
    fn commands_have_a_process_file_of_their_own() {
        let file = File::new("pid", "[copier]\npidfile = /run/x.pid\n");
        let pidfile = |whose| file.loader(&[]).with_pidfile(whose).load().unwrap().optional_file("pidfile");
        assert_eq!(pidfile(PidFile::AsSet), Some("/run/x.pid".into()));
        assert_eq!(pidfile(PidFile::Admin), Some("/run/x.pid.admin".into()));
        assert_eq!(pidfile(PidFile::None), None);
    }
}
