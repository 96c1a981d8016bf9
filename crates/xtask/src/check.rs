//! `make test`: cheap checks first, then what needs a server.

use crate::command::{Outcome, count_tests, fail, run};
use crate::extension::{cargo, cargo_for, stage};
use crate::settings::{Profile, Settings};
use crate::{peers, prepare, programs};
use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

/// The steps that were done, and how long each took.
struct Steps {
    began: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    fn new() -> Self {
        Steps { began: Instant::now(), done: Vec::new() }
    }

    fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        println!("\n=== {name}");
        let began = Instant::now();
        let outcome = work();
        let took = began.elapsed();
        self.done.push((name.to_owned(), took));
        match outcome {
            Ok(value) => {
                println!("=== {name}: {:.1} s", took.as_secs_f64());
                Ok(value)
            }
            Err(failure) => fail(format!("{name}, after {:.1} s: {failure}", took.as_secs_f64())),
        }
    }

    fn summary(&self) {
        println!();
        for (name, took) in &self.done {
            println!("{:8.1} s  {name}", took.as_secs_f64());
        }
        println!("{:8.1} s  in all", self.began.elapsed().as_secs_f64());
    }
}

/// Everything, or with a SUBSET only the client tests it chooses.
pub fn everything(settings: &Settings) -> Outcome {
    let mut steps = Steps::new();
    let tested = if settings.subset.is_empty() {
        without_server(settings, &mut steps).and_then(|()| with_server(settings, &mut steps))
    } else {
        with_server(settings, &mut steps)
    };
    steps.summary();
    let passed = tested?;
    println!("the client suite passed {passed} tests");
    Ok(())
}

/// The SQL surface, on the user's running server.
pub fn installed(settings: &Settings) -> Outcome {
    let mut suite = client_suite(settings, &["surface::".to_owned()]);
    suite.env("PGQ_INSTALLCHECK", "1").env("PGQ_REPO", &settings.repo);
    match count_tests(&mut suite)? {
        0 => fail("no test ran: the suite has none named surface::"),
        passed => {
            let said = |name: &str, unsaid: &str| env::var(name).unwrap_or_else(|_| unsaid.to_owned());
            let (host, port) = (said("PGHOST", "this machine"), said("PGPORT", "5432"));
            println!("{passed} tests passed on the server at {host}, port {port}");
            Ok(())
        }
    }
}

/// Writes what the test of the reference compares.
pub fn write_reference(settings: &Settings) -> Outcome {
    let server = prepare::server(settings)?;
    let staged = stage(settings, &server, Profile::Dev)?;
    let mut suite = client_suite(settings, &["reference::the_reference".to_owned()]);
    suite.env("PGQ_WRITE_REFERENCE", "1");
    programs::on_server(settings, &mut suite, &staged)?;
    count_tests(&mut suite)?;
    println!("wrote docs/reference.md");
    Ok(())
}

fn without_server(settings: &Settings, steps: &mut Steps) -> Outcome {
    steps.step("format", || run(cargo(settings, "fmt").args(["--all", "--check"])))?;
    steps.step("lints", || {
        let mut clippy = cargo(settings, "clippy");
        // The root package cannot be compiled without choosing a server; its turn comes later.
        clippy.args(["--quiet", "--workspace", "--exclude", "pgq", "--all-targets", "--", "-D", "warnings"]);
        run(&mut clippy)
    })?;
    steps.step("unit and property tests", || {
        let ours = ["--package", "pgq-core", "--package", "pgq-bgworker", "--package", "xtask"];
        let kit = ["--package", "pgq-tests", "--lib"];
        let companion = ["--package", "skytools", "--lib", "--bins"];
        for packages in [ours.as_slice(), &kit, &companion] {
            match count_tests(cargo(settings, "test").arg("--quiet").args(packages))? {
                0 => return fail("no unit test ran"),
                _ => continue,
            }
        }
        Ok(())
    })
}

fn with_server(settings: &Settings, steps: &mut Steps) -> Outcome<u64> {
    let server = steps.step("a server to build for", || {
        let server = prepare::server(settings)?;
        server.describe();
        Ok(server)
    })?;
    let feature = server.feature();
    if settings.subset.is_empty() {
        steps.step(&format!("lints for {feature}"), || {
            for failpoints in [false, true] {
                let mut clippy = cargo_for(settings, &server, "clippy");
                clippy.args([
                    "--quiet",
                    "--package",
                    "pgq",
                    "--package",
                    "pgq-bgworker",
                    "--lib",
                    "--features",
                ]);
                let with_failpoints = if failpoints { ",pgq/failpoints" } else { "" };
                clippy.arg(format!("pgq/{feature}{with_failpoints}"));
                run(clippy.args(["--", "-D", "warnings"]))?;
            }
            Ok(())
        })?;
    }
    let staged = steps.step(&format!("build and stage for {feature}"), || {
        let staged = stage(settings, &server, Profile::Dev)?;
        println!("staged into {}", staged.root.display());
        Ok(staged)
    })?;
    steps.step("the original, to compare with", || {
        match peers::fetch(settings) {
            Ok(tree) => println!("it is in {}", tree.root.display()),
            Err(failure) => println!("tests that need it are skipped: {failure}"),
        }
        Ok(())
    })?;
    steps.step(&format!("client suite on {}", server.version), || {
        let mut suite = client_suite(settings, &settings.subset);
        programs::on_server(settings, &mut suite, &staged)?;
        match count_tests(&mut suite)? {
            0 if settings.subset.is_empty() => fail("the suite has no tests"),
            0 => fail(format!("no test has a name with SUBSET={:?}", settings.subset.join(" "))),
            passed => Ok(passed),
        }
    })
}

fn client_suite(settings: &Settings, filters: &[String]) -> Command {
    let mut suite = cargo(settings, "test");
    suite.args(["--package", "pgq-tests", "--test", "suite"]);
    suite.args(["--package", "skytools", "--test", "skytools", "--"]).args(filters);
    suite
}
