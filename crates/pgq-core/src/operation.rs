//! What can happen to a table.

/// What happened to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A row is new.
    Insert,
    /// A row is another.
    Update,
    /// A row is gone.
    Delete,
    /// All rows are gone.
    Truncate,
}

impl Operation {
    /// Each of them.
    pub const ALL: [Operation; 4] =
        [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate];

    /// The letter in the event types of logutriga, sqltriga and logtriga.
    pub const fn letter(self) -> char {
        match self {
            Operation::Insert => 'I',
            Operation::Update => 'U',
            Operation::Delete => 'D',
            Operation::Truncate => 'R',
        }
    }

    /// The word in SQL and in the event types of jsontriga.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Insert => "INSERT",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Truncate => "TRUNCATE",
        }
    }

    /// The operation with this letter.
    pub fn from_letter(letter: u8) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.letter() == char::from(letter))
    }
}
