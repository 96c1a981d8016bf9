//! The types of columns, and values of them.
//!
//! Of one type no two values here are equal by `=` but different as text: what such an update writes is an intended
//! difference, and `differences` has those.

use fastrand::Rng;
use pgq_tests::client::Session;

/// A type: its name, and texts that it reads.
pub struct Kind {
    pub name: &'static str,
    values: &'static [&'static str],
}

/// Types of our own, made of those that the server ships.
pub const OWN_TYPES: &str = r#"
    create type mood as enum ('sad', 'o k', 'it''s', 'é', '"', 'a,b', '(');
    create type pair as (a int, b text, "C d" date);
    create type nest as (p pair, ps pair[], m mood);
    create domain d_bool as bool;
    create domain d_int as int;
    create domain d_date as date;
    create domain d_text as text;
    create domain d_array as int[];
    create domain d_pair as pair;
    create domain d_again as d_date;
    create type text_range as range (subtype = text, multirange_type_name = text_ranges);
    create type mood_range as range (subtype = mood);
    create type float_range as range (subtype = float8);"#;

const fn kind(name: &'static str, values: &'static [&'static str]) -> Kind {
    Kind { name, values }
}

/// What may be in a key, by its name: no NULL, and with an order.
pub const KEYS: &[&str] = &[
    "bool",
    "int2",
    "int4",
    "int8",
    "numeric",
    "float8",
    "text",
    "varchar(5)",
    "bpchar(4)",
    "name",
    "\"char\"",
    "bytea",
    "date",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "oid",
    "inet",
    "mood",
    "pair",
    "d_int",
    "d_text",
    "d_array",
    "int4range",
];

const NASTY: &[&str] = &[
    "",
    " ",
    "plain",
    "NULL",
    "null",
    "a=b&c d\\e'f\t\n%é",
    "\\",
    "\\\\",
    "'",
    "''",
    "\"",
    "\\x41",
    "E'\\''",
    "$$",
    "/* */ --",
    "{\"a\":1}",
    "{1,2}",
    "(1,2)",
    "\u{1}\u{8}\u{c}\r\u{1f}\u{7f}",
    "🐘\u{2028}\u{feff}",
    "%00+%20",
];

/// Every type that PostgreSQL ships and a column can have, those with modifiers, and our own.
pub const KINDS: &[Kind] = &[
    kind("bool", &["t", "f"]),
    kind("int2", &["0", "-32768", "32767"]),
    kind("int4", &["0", "-2147483648", "2147483647"]),
    kind("int8", &["0", "-9223372036854775808", "9223372036854775807"]),
    kind(
        "numeric",
        &[
            "0",
            "1.10",
            "-0.001",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e131071",
            "1e-16383",
            "123456789012345678901234567890.5",
        ],
    ),
    kind("numeric(9,3)", &["0", "1.1", "-999999.999", "NaN"]),
    kind("float4", &["0", "1.1", "-1e-38", "3.4028235e38", "NaN", "Infinity", "-Infinity", "16777216"]),
    kind("float8", &["0", "0.1", "1e300", "-5e-324", "NaN", "Infinity", "-Infinity", "100000000000000000"]),
    kind("money", &["0", "-12.5", "92233720368547758.07", "-92233720368547758.08"]),
    kind("text", NASTY),
    kind("varchar", NASTY),
    kind("varchar(5)", &["", "ab", "é🐘\\'\"", "a b c"]),
    kind("bpchar", &["", "a", "a b", "é\\"]),
    kind("bpchar(4)", &["", "a", "é b", "\\'\"%"]),
    kind("name", &["", "a b", "select", "é", "Mixed\"Case"]),
    kind("\"char\"", &["", "a", "\\", "\"", "'", "\\377", "\\200", "\n"]),
    kind("bytea", &["", "\\x00", "\\xdeadbeef5c27", "\\x25202b"]),
    kind(
        "date",
        &[
            "2024-02-29",
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "4713-01-01 BC",
            "294276-12-31",
            "9999-12-31",
            "10000-01-01",
        ],
    ),
    kind("time", &["00:00", "24:00", "12:34:56.789", "12:34:56.000001"]),
    kind("time(2)", &["00:00", "23:59:59.99", "12:34:56.5"]),
    kind("timetz", &["00:00+00", "12:34:56.789-03:30", "24:00+15:59", "12:34:56.000001-15:59:59"]),
    kind(
        "timestamp",
        &[
            "2024-02-29 12:34:56.789",
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00.000001 BC",
            "294276-12-31 23:59:59.999999",
            "2024-01-01",
        ],
    ),
    kind("timestamp(0)", &["2024-02-29 12:34:56.789", "infinity"]),
    kind(
        "timestamptz",
        &[
            "2024-07-01 12:34:56.5+00",
            "2024-01-01 00:00+00",
            "infinity",
            "-infinity",
            "0044-03-15 12:00+00 BC",
            "1900-01-01 00:00+00",
            "294276-12-31 00:00+00",
        ],
    ),
    kind(
        "interval",
        &[
            "0",
            "1 day",
            "-1 year -2 mons +3 days -04:05:06.789",
            "178000000 years",
            "00:00:00.000001",
            "-00:00:01",
            "1 year 1 sec",
        ],
    ),
    kind("interval year to month", &["0", "13 mons"]),
    kind("bit", &["0", "1"]),
    kind("bit(9)", &["000000000", "101010101"]),
    kind("varbit", &["", "1", "00000000000000000000000000000001"]),
    kind("uuid", &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    kind("json", &["{}", " {\"a\" : [1, null], \"é\\u0000\":\"\\\\\"} ", "null", "1.0", "\"\""]),
    kind("jsonb", &["{}", "{\"a\": [1, null], \"é\": \"\\\\\"}", "null", "1.10", "\"'\""]),
    kind("jsonpath", &["$", "$.\"a b\"[*] ? (@ > 1)", "strict $.a + 1"]),
    kind("xml", &["<a/>", "", "<a b=\"1\">é &amp; '</a>", "text"]),
    kind("tsvector", &["", "'a b':1A 'c':2,3", "'it''s' '\\\\'"]),
    kind("tsquery", &["", "'a b' & !'c':*A | 'd' <-> 'e'"]),
    kind("inet", &["0.0.0.0", "1.2.3.4/8", "::1", "2001:db8::/32", "::ffff:1.2.3.4/128"]),
    kind("cidr", &["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"]),
    kind("macaddr", &["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"]),
    kind("macaddr8", &["08:00:2b:01:02:03:04:05", "08:00:2b:ff:fe:01:02:03"]),
    kind("point", &["(0,0)", "(-1.5,1e300)", "(NaN,Infinity)"]),
    kind("line", &["{1,-1,0}", "{0,1,-2.5}"]),
    kind("lseg", &["[(0,0),(1,1)]", "[(-1,2),(3.5,-4)]"]),
    kind("box", &["(1,1),(0,0)", "(2.5,3),(-1,-1)"]),
    kind("path", &["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"]),
    kind("polygon", &["((0,0),(1,1),(2,0))", "((0,0))"]),
    kind("circle", &["<(0,0),1>", "<(-1.5,2),0>"]),
    kind("int4range", &["empty", "[1,5)", "(,)", "[7,)"]),
    kind("int8range", &["empty", "[1,9223372036854775807)", "(,5)"]),
    kind("numrange", &["empty", "[1.10,2.5]", "(,)", "(-Infinity,NaN)"]),
    kind("daterange", &["empty", "[2024-01-01,2024-02-29)", "[-infinity,infinity)", "(,\"0044-03-15 BC\")"]),
    kind("tsrange", &["empty", "[2024-01-01 12:00,2024-02-29)", "(,infinity)"]),
    kind("tstzrange", &["empty", "[2024-01-01 12:00+00,2024-02-29 00:00+00)", "(,)"]),
    kind("int4multirange", &["{}", "{[1,5),[7,9)}", "{(,)}"]),
    kind("int8multirange", &["{}", "{[1,5)}"]),
    kind("nummultirange", &["{}", "{[1.10,2.5],[3,4)}"]),
    kind("datemultirange", &["{}", "{[2024-01-01,2024-02-29)}"]),
    kind("tsmultirange", &["{}", "{[2024-01-01,2024-02-29),[2024-03-01,)}"]),
    kind("tstzmultirange", &["{}", "{[2024-01-01 00:00+00,2024-02-29 00:00+00)}"]),
    kind("oid", &["0", "4294967295"]),
    kind("xid", &["0", "4294967295"]),
    kind("xid8", &["0", "18446744073709551615"]),
    kind("cid", &["0", "4294967295"]),
    kind("tid", &["(0,1)", "(4294967295,65535)"]),
    kind("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    kind("pg_snapshot", &["1:1:", "10:20:10,14,15"]),
    kind("txid_snapshot", &["1:1:", "10:20:10,14,15"]),
    kind("int2vector", &["", "1 -2 3"]),
    kind("oidvector", &["", "1 4294967295"]),
    kind("aclitem", &["=r/postgres", "postgres=r*w/postgres"]),
    kind("refcursor", &["", "a b\\'"]),
    // Names of the server's own objects, which are the same under every search_path: of others ours are qualified.
    kind("regproc", &["-", "4294967295", "array_in"]),
    kind("regprocedure", &["-", "array_in(cstring,oid,integer)", "now()"]),
    kind("regoper", &["0", "||/"]),
    kind("regoperator", &["0", "+(integer,integer)", "-(none,integer)"]),
    kind("regclass", &["-", "pg_class", "4294967295"]),
    kind("regcollation", &["-", "\"C\""]),
    kind("regtype", &["-", "integer", "pg_class", "\"char\"", "timestamp with time zone", "int4range[]"]),
    kind("regrole", &["-", "postgres"]),
    kind("regnamespace", &["-", "pg_catalog"]),
    kind("regconfig", &["-", "english"]),
    kind("regdictionary", &["-", "simple"]),
    kind("mood", &["sad", "o k", "it's", "é", "\"", "a,b", "("]),
    kind("pair", &["(,,)", "(1,,)", "(1,\"a \"\"b\\\\,(\",2024-02-29)", "(-1,\"\",infinity)", "(,é,)"]),
    kind(
        "nest",
        &["(,,)", "(\"(1,\"\"a b\"\",)\",\"{\"\"(2,c,)\"\",NULL}\",\"it's\")", "(\"(,,)\",{},\"\"\"\")"],
    ),
    kind("d_bool", &["t", "f"]),
    kind("d_int", &["0", "-5"]),
    kind("d_date", &["2024-02-29", "infinity", "0044-03-15 BC"]),
    kind("d_again", &["2024-02-29", "-infinity"]),
    kind("d_text", NASTY),
    kind("d_array", &["{}", "{1,NULL}", "[5:6]={1,2}"]),
    kind("d_pair", &["(,,)", "(1,\"a b\",2024-02-29)"]),
    kind("text_range", &["empty", "[a,b)", "(,)", "[\"a b\",\"c\\\"\\\\\"]", "(\"\",x]"]),
    kind("text_ranges", &["{}", "{[a,b),[c,d)}"]),
    kind("mood_range", &["empty", "[sad,\"it's\"]"]),
    kind("float_range", &["empty", "[0.1,1e300)", "(-Infinity,NaN]"]),
];

/// The types that the server has; xml is one that a server may be built without.
pub fn of_server(session: &mut Session) -> Vec<&'static Kind> {
    let has_xml = session.batch_execute("select '<a/>'::xml").is_ok();
    if !has_xml {
        eprintln!("without xml, which the server is built without");
    }
    KINDS.iter().filter(|kind| has_xml || kind.name != "xml").collect()
}

/// Whether arrays of it can be made: there are none of vectors' like.
pub fn array_of(kind: &Kind) -> Option<String> {
    let is_vector = ["int2vector", "oidvector"].contains(&kind.name);
    (!is_vector).then(|| format!("{}[]", kind.name))
}

impl Kind {
    /// Those that were thought of.
    pub fn values(&self) -> &'static [&'static str] {
        self.values
    }

    /// A value: one of those, or any.
    pub fn value(&self, rng: &mut Rng) -> String {
        if rng.bool() {
            rng.choice(self.values).map(|value| (*value).to_owned()).expect("no type without values")
        } else {
            self.random(rng)
        }
    }

    /// An array of them.
    pub fn array(&self, rng: &mut Rng) -> String {
        // Arrays of boxes are the one kind with another delimiter.
        let delimiter = if self.name == "box" { ";" } else { "," };
        let row = |rng: &mut Rng, length: usize| -> String {
            let element =
                |rng: &mut Rng| if rng.u8(..5) == 0 { "NULL".to_owned() } else { quoted(&self.value(rng)) };
            let elements: Vec<String> = (0..length).map(|_| element(rng)).collect();
            format!("{{{}}}", elements.join(delimiter))
        };
        let length = rng.usize(1..5);
        match rng.u8(..6) {
            0 => "{}".to_owned(),
            1 => format!("[-1:{}]={}", length as i32 - 2, row(rng, length)),
            2 => format!("{{{}{delimiter}{}}}", row(rng, length), row(rng, length)),
            _ => row(rng, length),
        }
    }

    fn random(&self, rng: &mut Rng) -> String {
        match self.name {
            "int2" => rng.i16(..).to_string(),
            "int4" | "d_int" => rng.i32(..).to_string(),
            "int8" => rng.i64(..).to_string(),
            "oid" | "xid" | "cid" => rng.u32(..).to_string(),
            "numeric" => format!("{}.{:05}", rng.i64(..), rng.u32(..100_000)),
            "numeric(9,3)" => format!("{}.{:03}", rng.i32(-99_999..100_000), rng.u32(..1000)),
            "float4" => (rng.f32() * 10f32.powi(rng.i32(-30..30))).to_string(),
            "float8" => (rng.f64() * 10f64.powi(rng.i32(-300..300))).to_string(),
            "money" => format!("{}.{:02}", rng.i32(..), rng.u32(..100)),
            "text" | "varchar" | "d_text" => text(rng, 300),
            "varchar(5)" | "bpchar(4)" => text(rng, 4),
            "bytea" => {
                (0..rng.usize(..40)).fold("\\x".to_owned(), |hex, _| format!("{hex}{:02x}", rng.u8(..)))
            }
            "date" | "d_date" => day(rng),
            "timestamp" => format!("{} {}", day(rng), clock(rng)),
            "timestamptz" => format!("{} {}+00", day(rng), clock(rng)),
            "time" => clock(rng),
            "timetz" => format!("{}{:+03}:{:02}", clock(rng), rng.i32(-15..=15), rng.u32(..60)),
            "interval" => format!(
                "{} mons {} days {} us",
                rng.i32(-5000..5000),
                rng.i32(-27..28),
                rng.i64(-9_000_000_000..9_000_000_000)
            ),
            "uuid" => {
                let hex = format!("{:032x}", rng.u128(..));
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
            }
            "pair" | "d_pair" => format!("({},{},{})", rng.i32(..), quoted(&text(rng, 20)), day(rng)),
            "point" => format!("({},{})", rng.i32(..), rng.f64()),
            "int4range" => format!("[{},{})", rng.i32(..0), rng.i32(1..)),
            _ => rng.choice(self.values).map(|value| (*value).to_owned()).expect("no type without values"),
        }
    }
}

fn day(rng: &mut Rng) -> String {
    format!("{:04}-{:02}-{:02}", rng.u32(1..9999), rng.u32(1..=12), rng.u32(1..=28))
}

fn clock(rng: &mut Rng) -> String {
    format!("{:02}:{:02}:{:02}.{:06}", rng.u32(..24), rng.u32(..60), rng.u32(..60), rng.u32(..1_000_000))
}

/// Any characters, those that mean something in one of the formats first.
fn text(rng: &mut Rng, longest: usize) -> String {
    const LIKELY: &[u8] = b" '\"\\%&=+,(){}\t\n\r\x01\x7fabcXYZ019_.-/";
    let character = |rng: &mut Rng| match rng.u8(..8) {
        0 => rng.char('\u{80}'..='\u{ffff}'),
        1 => rng.char('\u{10000}'..),
        _ => char::from(*rng.choice(LIKELY).expect("there are some")),
    };
    (0..rng.usize(..=longest)).map(|_| character(rng)).collect()
}

/// As an element of an array or a field of a composite.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
