//! What a consumer does on command, instead of its work.

use clap::{Arg, ArgAction, ArgMatches};
use tracing::info;

use crate::consumer::{CONSUMER_KEYS, DeadLetters, FAILED_EVENT_KEYS, Position, Subscription};
use crate::db::Connection;
use crate::script::{Program, Script, print};
use crate::{Error, Result};

/// Something that a switch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Make the consumer known to the queue.
    Register,
    /// Make the queue forget it.
    Unregister,
    /// Move the queue to the tick that is written down.
    Rewind,
    /// Forget the tick that is written down.
    Reset,
    /// Show what was parked.
    ListDeadLetters,
    /// Show all of one parked event.
    ShowDeadLetter(i64),
    /// Let it come again.
    ReplayDeadLetter(Which),
    /// Throw it away.
    DropDeadLetter(Which),
}

/// One or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of this number.
    One(i64),
    /// All of this consumer's.
    All,
}

impl std::str::FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|_| "it is the number of one, or all")
    }
}

impl Program {
    /// Gives the program the keys and switches of every consumer.
    #[must_use]
    pub fn consumer(self) -> Self {
        self.keys("Consumer", CONSUMER_KEYS)
            .switch(flag("register", "Register the consumer with its queue, and end"))
            .switch(flag("unregister", "Unregister the consumer, and end"))
            .example("--register my.ini", "Register the consumer: from now on the queue keeps events for it")
    }

    /// Gives it the keys and switches of a consumer that can [send events back, or park them](Position::SENDS_BACK).
    #[must_use]
    pub fn retries(self) -> Self {
        let letter = |name, help| errand(name, help).value_name("ID").value_hint(clap::ValueHint::Other);
        let which = |name, help| letter(name, help).value_parser(clap::value_parser!(Which));
        self.keys("Events that fail", FAILED_EVENT_KEYS)
            .switch_beside(flag("dead-letters", "List the events that were parked, and end"))
            .switch_beside(
                letter("show-dead-letter", "Show a parked event, and end")
                    .value_parser(clap::value_parser!(i64)),
            )
            .switch_beside(which("replay-dead-letter", "Let a parked event, or all, come again, and end"))
            .switch_beside(which("drop-dead-letter", "Throw a parked event, or all, away, and end"))
    }

    /// Gives it the switches of a consumer that writes down at which tick it is.
    #[must_use]
    pub fn moves(self) -> Self {
        self.switch(flag(
            "rewind",
            "Move the queue back or forth to the position that is written down, and end",
        ))
        .switch(flag(
            "reset",
            "Forget the position that is written down, and end: the next batch is handled anyway",
        ))
    }
}

/// A switch that asks for one; of two errands none would be the one that was meant.
fn errand(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).group("errand")
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    errand(name, help).action(ArgAction::SetTrue)
}

impl Errand {
    /// What the switches ask for, if anything.
    #[must_use]
    pub fn of(matches: &ArgMatches) -> Option<Self> {
        // Not every consumer has those of `Program::retries` and `Program::moves`.
        let which = |name| matches.try_get_one::<Which>(name).ok().flatten().copied();
        let asks = |name| matches.try_get_one::<bool>(name).is_ok_and(|asked| asked == Some(&true));
        [
            ("register", Self::Register),
            ("unregister", Self::Unregister),
            ("rewind", Self::Rewind),
            ("reset", Self::Reset),
            ("dead-letters", Self::ListDeadLetters),
        ]
        .into_iter()
        .find_map(|(switch, errand)| asks(switch).then_some(errand))
        .or_else(|| matches.try_get_one("show-dead-letter").ok().flatten().copied().map(Self::ShowDeadLetter))
        .or_else(|| which("replay-dead-letter").map(Self::ReplayDeadLetter))
        .or_else(|| which("drop-dead-letter").map(Self::DropDeadLetter))
    }

    /// Does it.
    pub(super) async fn run(
        self,
        script: &mut Script,
        who: &Subscription,
        source: &Connection,
        position: &mut impl Position,
    ) -> Result<()> {
        let letters = DeadLetters::new(source.clone(), who.queue(), who.consumer());
        let (queue, consumer) = (who.queue(), who.consumer());
        match self {
            Self::Register if position.register(script, who, source).await? => {
                info!("{consumer} is registered on {queue}");
            }
            Self::Register => info!("{consumer} was registered on {queue} already"),
            Self::Unregister if position.unregister(script, who, source).await? => {
                info!("{consumer} is no longer registered on {queue}");
            }
            Self::Unregister => info!("{consumer} was not registered on {queue}"),
            Self::Rewind => {
                let Some(tick) = position.tick(script, who).await? else {
                    return Err(Error::usage(format!(
                        "no position of {consumer} on {queue} is written down"
                    )));
                };
                who.move_to(source, tick).await?;
                info!("{consumer} is at tick {tick} of {queue}");
            }
            Self::Reset => {
                position.forget(script, who).await?;
                info!("the position of {consumer} on {queue} is forgotten");
            }
            Self::ListDeadLetters => {
                let mut shown = 0;
                while let page @ [.., last] = &letters.behind(shown).await?[..] {
                    for letter in page {
                        print(&format!("{}\n", letter.in_short()))?;
                    }
                    shown = last.id;
                }
            }
            Self::ShowDeadLetter(id) => print(&format!("{}\n", letters.get(id).await?))?,
            Self::ReplayDeadLetter(which) => {
                let replay = async |id| {
                    letters.replay(id).await?;
                    info!("dead letter {id} comes again");
                    Ok(())
                };
                which.each(&letters, replay).await?;
            }
            Self::DropDeadLetter(which) => {
                let drop = async |id| {
                    letters.remove(id).await?;
                    info!("dead letter {id} is thrown away");
                    Ok(())
                };
                which.each(&letters, drop).await?;
            }
        }
        source.commit().await
    }
}

impl Which {
    /// Does something with each. Of all: those that are there now, as one that comes again may be parked again.
    async fn each(self, letters: &DeadLetters, mut act: impl AsyncFnMut(i64) -> Result<()>) -> Result<()> {
        let newest = match self {
            Self::One(id) => return act(id).await,
            Self::All => letters.newest().await?,
        };
        let mut done = 0;
        while let page @ [.., last] = &letters.behind(done).await?[..]
            && done < newest
        {
            for letter in page.iter().take_while(|letter| letter.id <= newest) {
                act(letter.id).await?;
            }
            done = last.id;
        }
        Ok(())
    }
}
