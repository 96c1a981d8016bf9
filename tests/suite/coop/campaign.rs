//! A group under load, whose members are terminated, stall and are taken over all the time.
//!
//! Each stores its results and finishes its batch in one transaction, so in the end each event must have its effect
//! once: an event that was handed out to nobody is missing, one of a batch that was finished twice breaks a key.

use crate::ticker::{builder, set_up};
use pgq_tests::client::{Background, Session, connection_lost, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;
use postgres::Error;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MEMBERS: usize = 6;
const HOW_LONG: Duration = Duration::from_secs(12);

/// What happened how often.
type Tally = Arc<Mutex<BTreeMap<&'static str, u32>>>;

struct Member {
    name: String,
    end: Arc<AtomicBool>,
    pid: Arc<AtomicI32>,
    tally: Tally,
}

impl Member {
    fn count(&self, what: &'static str) {
        *self.tally.lock().unwrap().entry(what).or_default() += 1;
    }

    /// Works until it is told to end, in one session after the other.
    fn live(&self, cluster: &Cluster) {
        while !self.end.load(Ordering::Relaxed) {
            let mut session = cluster.connect("postgres");
            self.pid.store(session.pid(), Ordering::Relaxed);
            if let Err(error) = self.work(&mut session) {
                assert!(connection_lost(&error), "{error:?}");
                self.count("killed");
            }
        }
    }

    fn work(&self, session: &mut Session) -> Result<(), Error> {
        let any = |of: &[&'static str]| of[fastrand::usize(..of.len())];
        session.batch_execute(&format!(
            "set default_transaction_isolation = '{}'; set pgq.coop_watch_processes = {}",
            any(&["read committed", "repeatable read", "serializable"]),
            any(&["on", "on", "off"])
        ))?;
        while !self.end.load(Ordering::Relaxed) {
            match self.batch(session, any(&["", ", null", ", '0'", ", '20 ms'", ", '1 s'"])) {
                Ok(()) => {}
                Err(error) if connection_lost(&error) => return Err(error),
                Err(error) => {
                    let state = error.as_db_error().expect("an error of the server");
                    match (state.code().code(), state.message()) {
                        ("40001", _) => self.count("again"),
                        ("P0001", message) if message.contains("not found") => self.count("late to read"),
                        _ => panic!("{error:?}"),
                    }
                    session.batch_execute("rollback")?;
                }
            }
        }
        Ok(())
    }

    /// One batch, if there is one: some of its events are wanted again, the others are done.
    fn batch(&self, session: &mut Session, dead_interval: &str) -> Result<(), Error> {
        let next = format!("select pgq_coop.next_batch('q', 'm', $1{dead_interval})");
        let Some(batch) = session.query_one(&next, &[&self.name])?.get::<_, Option<i64>>(0) else {
            std::thread::sleep(Duration::from_millis(1));
            return Ok(());
        };
        if fastrand::u8(..20) == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut work = session.transaction()?;
        let events: Vec<i64> = work
            .query("select ev_id from pgq.get_batch_events($1)", &[&batch])?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let (again, done): (Vec<i64>, Vec<i64>) = events.into_iter().partition(|_| fastrand::u8(..10) == 0);
        for event in &again {
            work.execute("select pgq.event_retry($1, $2, 0)", &[&batch, event])?;
        }
        if work.query_one("select pgq_coop.finish_batch($1)", &[&batch])?.get::<_, i32>(0) == 0 {
            self.count("late to finish");
            return work.rollback();
        }
        work.execute("insert into finished values ($1)", &[&batch])?;
        work.execute("insert into done select unnest($1::bigint[])", &[&done])?;
        work.commit()?;
        self.count("finished");
        Ok(())
    }
}

fn producer(cluster: &Cluster, end: &Arc<AtomicBool>) -> Background<Vec<i64>> {
    let end = Arc::clone(end);
    cluster.connect("postgres").spawn(move |session| {
        let mut sent = Vec::new();
        while !end.load(Ordering::Relaxed) {
            sent.push(queue::insert(session, "q", "kind", "data").unwrap());
            std::thread::sleep(Duration::from_micros(fastrand::u64(..1000)));
        }
        sent
    })
}

/// Removes some member, unless it has a batch.
fn unregister(session: &mut Session, tally: &Tally) {
    let name = fastrand::usize(..MEMBERS).to_string();
    match session.query_one("select pgq_coop.unregister_subconsumer('q', 'm', $1, 0)", &[&name]) {
        Ok(_) => *tally.lock().unwrap().entry("unregistered").or_default() += 1,
        Err(error) => assert_eq!(error.code().unwrap().code(), "P0001", "{error:?}"),
    }
}

#[test]
fn every_event_is_done_once_whoever_dies() {
    let cluster = builder().conf("log_min_messages", "panic").start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    session.exec(
        "create extension pgq_coop; select pgq.register_consumer('q', 'm');
         select pgq.set_queue_config('q', 'rotation_period', '0');
         create table done (ev_id bigint primary key); create table finished (batch bigint primary key)",
    );
    let (end_producers, end_members) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let tally = Tally::default();
    let members: Vec<Member> = (0..MEMBERS)
        .map(|number| Member {
            name: number.to_string(),
            end: Arc::clone(&end_members),
            pid: Arc::default(),
            tally: Arc::clone(&tally),
        })
        .collect();
    let pids: Vec<_> = members.iter().map(|member| Arc::clone(&member.pid)).collect();
    std::thread::scope(|scope| {
        // Should something fail, the others must not go on for ever.
        let _end = EndAll([Arc::clone(&end_producers), Arc::clone(&end_members)]);
        let working: Vec<_> = members.iter().map(|member| scope.spawn(|| member.live(&cluster))).collect();
        let producers = [producer(&cluster, &end_producers), producer(&cluster, &end_producers)];
        let began = Instant::now();
        while began.elapsed() < HOW_LONG && !working.iter().any(|member| member.is_finished()) {
            std::thread::sleep(Duration::from_millis(fastrand::u64(..60)));
            let pid = pids[fastrand::usize(..MEMBERS)].load(Ordering::Relaxed);
            session.one::<bool>("select pg_terminate_backend($1)", &[&pid]);
            unregister(&mut session, &tally);
        }
        end_producers.store(true, Ordering::Relaxed);
        let mut sent: Vec<i64> = producers.into_iter().flat_map(|producer| producer.join().1).collect();
        sent.sort_unstable();
        wait_until("all events to be done", || {
            let done: i64 = session.one("select count(*) from done", &[]);
            done >= sent.len() as i64 || working.iter().any(|member| member.is_finished())
        });
        end_members.store(true, Ordering::Relaxed);
        working.into_iter().for_each(|member| member.join().unwrap());
        let done: Vec<i64> = session.column("select ev_id from done order by 1", &[]);
        assert!(done == sent, "{} done, {} sent", done.len(), sent.len());
    });
    let tally = tally.lock().unwrap().clone();
    println!("{tally:?}");
    let rotations: i64 = session.one("select rotations from pgq.stat_queues", &[]);
    assert!(rotations > 0, "events were also taken away");
    for what in ["killed", "finished", "again", "unregistered"] {
        assert!(tally.get(what).is_some_and(|count| *count > 5), "{what}: {tally:?}");
    }
}

/// Ends the threads, also when the test fails.
struct EndAll([Arc<AtomicBool>; 2]);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.iter().for_each(|end| end.store(true, Ordering::Relaxed));
    }
}
