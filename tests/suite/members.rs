//! Members of each role of PgQ, and a nobody, who try what they may.

use pgq_tests::client::Session;
use pgq_tests::shared::Database;

/// A session of a new member of each role, and of nobody's. Roles are shared by all databases, so the names are not.
pub struct Members {
    database: Database,
    sessions: Vec<(&'static str, Session)>,
}

impl Members {
    pub fn of(database: Database) -> Self {
        let mut session = database.connect();
        let sessions = ["nobody", "reader", "writer", "admin"].map(|kind| {
            let role = format!("{}_{kind}", database.name());
            session.exec(&format!("create role {role} login"));
            if kind != "nobody" {
                session.exec(&format!("grant pgq_{kind} to {role}"));
            }
            (kind, database.connect_as(&role))
        });
        Self { database, sessions: sessions.into() }
    }

    /// Each member tries; it is a matter of rights only, any other failure means that the right is there.
    pub fn only(&mut self, entitled: &[&str], statement: &str, denied: &str) {
        for (kind, session) in &mut self.sessions {
            let outcome = session.batch_execute(&format!("begin; {statement}; rollback"));
            let _ = session.batch_execute("rollback");
            let refused = outcome.err().is_some_and(|error| {
                let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error:?}"));
                error.code().code() == "42501" && error.message().starts_with(denied)
            });
            assert_eq!(refused, !entitled.contains(kind), "{kind}: {statement}");
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        let mut session = self.database.connect();
        for (kind, _) in &self.sessions {
            let _ = session.batch_execute(&format!("drop role {}_{kind}", self.database.name()));
        }
    }
}
