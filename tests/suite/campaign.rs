//! A short soak: the long ones are `make soak`.

use std::time::Duration;

use pgq_tests::checker::Violation;
use pgq_tests::server::Server;
use pgq_tests::soak::Campaign;

#[test]
fn half_a_minute_of_crashes_breaks_no_promise() {
    let campaign =
        Campaign { server: Server::ours(), seed: 20, duration: Duration::from_secs(25), crashes: true };
    match campaign.run(&mut |line| println!("{line}")) {
        Ok(summary) => assert!(summary.rotations > 0 && summary.crashes > 0, "{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// Shows that the campaign is hard enough and the checker awake: on the original it finds, within seconds, events that
/// a rotation has lost.
#[test]
fn the_original_does_not_survive_it() {
    let Some(server) = Server::peer() else {
        eprintln!("skipped: PGQ_PEER is not set");
        return;
    };
    let campaign = Campaign { server, seed: 20, duration: Duration::from_secs(120), crashes: false };
    let failure = campaign.run(&mut |line| println!("{line}")).expect_err("lost events");
    assert!(
        failure.violations.iter().any(|violation| matches!(violation, Violation::Lost { .. })),
        "{failure}"
    );
}
