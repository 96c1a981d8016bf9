//! Events by which a cascade keeps itself: `pgq.*`.

use indexmap::IndexMap;

use crate::cascade::ask;
use crate::consumer::Event;
use crate::db::Connection;
use crate::db::types::ToSql;
use crate::{Error, Result};

/// Of one batch. Of watermarks only the last one has an effect that lasts, so only that is applied.
#[derive(Debug, Default)]
pub struct SystemEvents {
    locations: Vec<Location>,
    global_watermark: Option<i64>,
    /// Of the queues that feed this one.
    parts: IndexMap<String, i64>,
}

/// What is told of a node's location.
#[derive(Debug)]
enum Location {
    Register { node: String, location: Option<String>, dead: bool },
    Unregister { node: String },
}

impl SystemEvents {
    /// Takes notice of an event of this queue.
    pub fn take(&mut self, queue: &str, event: &Event) -> Result<()> {
        let kind = event.kind().unwrap_or_default();
        let bad = |what: &str| {
            let told =
                format!("{kind} event {}: data {:?}, extra1 {:?}", event.id(), event.data(), event.extra1());
            Error::bad(format!("{what} {queue}: {told}"))
        };
        let is_own = event.extra1() == Some(queue);
        if kind == "pgq.tick-id" && is_own {
            return Err(bad("tick-id event for own queue? In queue"));
        }
        if kind != "pgq.tick-id" && !is_own {
            return Err(bad("bad event in queue"));
        }
        let bad_data = || bad("bad data in queue");
        let data = event.data().ok_or_else(bad_data)?;
        let tick = || data.parse().map_err(|_| bad_data());
        match kind {
            "pgq.location-info" => self.locations.push(Location::Register {
                node: data.to_owned(),
                location: event.extra2().map(str::to_owned),
                dead: event.extra3().and_then(flag).ok_or_else(bad_data)?,
            }),
            "pgq.unregister-location" => {
                self.locations.push(Location::Unregister { node: data.to_owned() });
            }
            "pgq.global-watermark" => self.global_watermark = Some(tick()?),
            "pgq.tick-id" => {
                let part = event.extra1().ok_or_else(bad_data)?;
                self.parts.insert(part.to_owned(), tick()?);
            }
            _ => return Err(bad("unknown system event in queue")),
        }
        Ok(())
    }

    /// The watermark that the root has told, if it has.
    pub const fn global_watermark(&self) -> Option<i64> {
        self.global_watermark
    }

    /// Applies them to the node, in its open transaction.
    pub async fn apply(&self, queue: &str, node: &Connection, heeds_root: bool) -> Result<()> {
        for location in &self.locations {
            match location {
                Location::Register { node: name, location, dead } => {
                    let arguments: [&(dyn ToSql + Sync); 4] = [&queue, name, location, dead];
                    ask(node, "register_location($1, $2, $3, $4)", &arguments).await?;
                }
                Location::Unregister { node: name } => {
                    ask(node, "unregister_location($1, $2)", &[&queue, name]).await?;
                }
            }
        }
        if let Some(tick) = self.global_watermark.filter(|_| heeds_root) {
            ask(node, "set_global_watermark($1, $2)", &[&queue, &tick]).await?;
        }
        for (part, tick) in &self.parts {
            ask(node, "set_partition_watermark($1, $2, $3)", &[&queue, part, tick]).await?;
        }
        Ok(())
    }
}

/// A boolean as PostgreSQL or a person writes it.
fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;

    use super::*;

    fn event(kind: &str, texts: [Option<&str>; 4]) -> Event {
        let [data, extra1, extra2, extra3] = texts;
        let texts = [Some(kind), data, extra1, extra2, extra3, None];
        Event::new("q".into(), 7, Timestamp::UNIX_EPOCH, 1, None, texts)
    }

    fn taken(kind: &str, data: &str, extra1: &str) -> Result<SystemEvents, String> {
        let mut events = SystemEvents::default();
        let event = event(kind, [Some(data), Some(extra1), None, Some("false")]);
        events.take("q", &event).map(|()| events).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_belongs_to_its_queue_and_a_tick_to_another() {
        for kind in ["pgq.location-info", "pgq.unregister-location", "pgq.global-watermark"] {
            taken(kind, "5", "q").unwrap();
            let refusal = taken(kind, "5", "other").unwrap_err();
            assert!(refusal.starts_with(&format!("bad event in queue q: {kind} event 7")), "{refusal}");
        }
        taken("pgq.tick-id", "5", "other").unwrap();
        let refusal = taken("pgq.tick-id", "5", "q").unwrap_err();
        assert!(refusal.starts_with("tick-id event for own queue? In queue q"), "{refusal}");
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        let refusal = taken("pgq.other", "5", "q").unwrap_err();
        assert!(refusal.starts_with("unknown system event in queue q: pgq.other"), "{refusal}");
        for (kind, data) in [("pgq.global-watermark", "five"), ("pgq.tick-id", "")] {
            let queue = if kind == "pgq.tick-id" { "other" } else { "q" };
            let refusal = taken(kind, data, queue).unwrap_err();
            assert!(refusal.starts_with("bad data in queue q"), "{refusal}");
        }
        let mut events = SystemEvents::default();
        let nothing = event("pgq.location-info", [None, Some("q"), None, None]);
        assert!(events.take("q", &nothing).is_err());
    }

    #[test]
    fn of_watermarks_the_last_one_counts() {
        let mut events = SystemEvents::default();
        for (kind, data, queue) in [
            ("pgq.global-watermark", "5", "q"),
            ("pgq.tick-id", "1", "part a"),
            ("pgq.tick-id", "2", "part b"),
            ("pgq.global-watermark", "7", "q"),
            ("pgq.tick-id", "3", "part a"),
        ] {
            events.take("q", &event(kind, [Some(data), Some(queue), None, None])).unwrap();
        }
        assert_eq!(events.global_watermark(), Some(7));
        let parts: Vec<_> = events.parts.iter().map(|(part, tick)| (&**part, *tick)).collect();
        assert_eq!(parts, [("part a", 3), ("part b", 2)]);
    }
}
