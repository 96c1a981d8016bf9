//! What the three functions write: type, data and extras of each operation.

use super::{Scene, state};

/// The table of the specification's examples.
const ORDER_LINE: &str = r#"
    create schema "Sales";
    create table "Sales"."Order Line" (
        "Order Id" int, line int, note text, "Qty" numeric(6,2), primary key ("Order Id", line))"#;

/// `a=b&c d\e'f<tab><newline>%é`
const NOTE: &str = r"E'a=b&c d\\e''f\t\n%é'";

#[test]
fn logutriga_writes_rows_as_a_url_does() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(ORDER_LINE);
        scene.capture(r#""Sales"."Order Line""#, "logutriga('q')");
        scene.writes(
            &format!(r#"insert into "Sales"."Order Line" values (1, 2, {NOTE}, 1.5)"#),
            &["I:Order Id,line | \
               Order+Id=1&line=2&note=a%3db%26c+d%5ce%27f%09%0a%25%c3%a9&Qty=1.50 | Sales.Order Line"],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = null"#,
            &["U:Order Id,line | Order+Id=1&line=2&note&Qty=1.50 | Sales.Order Line"],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = ''"#,
            &["U:Order Id,line | Order+Id=1&line=2&note=&Qty=1.50 | Sales.Order Line"],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = note"#,
            &["U:Order Id,line | Order+Id=1&line=2&note=&Qty=1.50 | Sales.Order Line"],
        );
        scene.writes(
            r#"delete from "Sales"."Order Line""#,
            &["D:Order Id,line | Order+Id=1&line=2&note=&Qty=1.50 | Sales.Order Line"],
        );
        scene.capture_truncate(r#""Sales"."Order Line""#, "logutriga('q')");
        scene.writes(r#"truncate "Sales"."Order Line""#, &["R |  | Sales.Order Line"]);
    }
}

#[test]
fn jsontriga_writes_objects() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(ORDER_LINE);
        scene.capture(r#""Sales"."Order Line""#, "jsontriga('q')");
        let event = |op: &str, note: &str, qty: &str| {
            format!(
                r#"{{"op":"{op}","table":["Sales","Order Line"],"pkey":["Order Id","line"]}} | {{"Order Id":1,"line":2,"note":{note},"Qty":{qty}}} | Sales.Order Line"#
            )
        };
        scene.writes(
            &format!(r#"insert into "Sales"."Order Line" values (1, 2, {NOTE}, 1.5)"#),
            &[&event("INSERT", r#""a=b&c d\\e'f\t\n%é""#, r#""1.50""#)],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set "Qty" = 7, note = ''"#,
            &[&event("UPDATE", r#""""#, r#""7.00""#)],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = null"#,
            &[&event("UPDATE", "null", r#""7.00""#)],
        );
        scene.writes(r#"delete from "Sales"."Order Line""#, &[&event("DELETE", "null", r#""7.00""#)]);
        scene.capture_truncate(r#""Sales"."Order Line""#, "jsontriga('q')");
        scene.writes(
            r#"truncate "Sales"."Order Line""#,
            &[r#"{"op":"TRUNCATE","table":["Sales","Order Line"],"pkey":["Order Id","line"]} | {} | Sales.Order Line"#],
        );
    }
}

#[test]
fn sqltriga_writes_the_tail_of_a_statement() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(ORDER_LINE);
        scene.capture(r#""Sales"."Order Line""#, "sqltriga('q')");
        scene.writes(
            &format!(r#"insert into "Sales"."Order Line" values (1, 2, {NOTE}, null)"#),
            &["I | (\"Order Id\",line,note,\"Qty\") values ('1','2',E'a=b&c d\\\\e''f\t\n%é',null) | Sales.Order Line"],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set "Qty" = 7"#,
            &[r#"U | "Qty"='7.00' where "Order Id"='1' and line='2' | Sales.Order Line"#],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = 'n', "Qty" = null"#,
            &[r#"U | note='n',"Qty"=NULL where "Order Id"='1' and line='2' | Sales.Order Line"#],
        );
        scene.writes(
            r#"update "Sales"."Order Line" set note = note"#,
            &[r#"U | "Order Id"='1' where "Order Id"='1' and line='2' | Sales.Order Line"#],
        );
        scene.writes(
            r#"delete from "Sales"."Order Line""#,
            &[r#"D | "Order Id"='1' and line='2' | Sales.Order Line"#],
        );
        scene.capture_truncate(r#""Sales"."Order Line""#, "sqltriga('q')");
        scene.writes(r#"truncate "Sales"."Order Line""#, &["R |  | Sales.Order Line"]);
    }
}

#[test]
fn the_key_list_has_the_order_of_the_index() {
    for mut scene in Scene::on_each("formats") {
        scene.exec("create table t (a int, b int, v text, primary key (b, a) deferrable)");
        scene.capture_by_all("t", "");
        scene.writes(
            "insert into t values (1, 2, 'x')",
            &[
                r#"{"op":"INSERT","table":["public","t"],"pkey":["b","a"]} | {"a":1,"b":2,"v":"x"} | public.t"#,
                "I:b,a | a=1&b=2&v=x | public.t",
                "I | (a,b,v) values ('1','2','x') | public.t",
            ],
        );
        scene.writes(
            "delete from t",
            &[
                r#"{"op":"DELETE","table":["public","t"],"pkey":["b","a"]} | {"a":1,"b":2,"v":"x"} | public.t"#,
                "D:b,a | a=1&b=2&v=x | public.t",
                "D | a='1' and b='2' | public.t",
            ],
        );
    }
}

#[test]
fn without_a_key_rows_can_only_come() {
    for mut scene in Scene::on_each("formats") {
        // A unique constraint is no key, not even as replica identity.
        scene.exec("create table t (v text not null constraint u unique)");
        scene.exec("alter table t replica identity using index u");
        scene.exec("insert into t values ('old')");
        for (function, event) in [
            ("jsontriga", r#"{"op":"INSERT","table":["public","t"],"pkey":[]} | {"v":"x"} | public.t"#),
            ("logutriga", "I: | v=x | public.t"),
            ("sqltriga", "I | (v) values ('x') | public.t"),
        ] {
            scene.capture("t", &format!("{function}('q')"));
            scene.writes("insert into t values ('x')", &[event]);
            scene.refuses("update t set v = v", state::NO_KEY, &["public.t", "tap"]);
            scene.refuses("delete from t", state::NO_KEY, &["public.t", "tap"]);
            // Whatever the options say.
            for options in ["'when=false'", "'ignore=v'", "'deny'", "'pkey='"] {
                scene.capture("t", &format!("{function}('q', {options})"));
                scene.refuses("update t set v = v || '!'", state::NO_KEY, &["public.t", "tap"]);
            }
            scene.exec("drop trigger tap on t; delete from t where v = 'x'");
        }
        scene.capture_truncate("t", "jsontriga('q')");
        scene
            .writes("truncate t", &[r#"{"op":"TRUNCATE","table":["public","t"],"pkey":[]} | {} | public.t"#]);
    }
}

#[test]
fn a_null_in_a_key_is_nothing_that_sqltriga_could_find_again() {
    for mut scene in Scene::on_each("formats") {
        scene.exec("create table t (a int, v text); insert into t values (null, 'x')");
        scene.capture("t", "sqltriga('q', 'pkey=a')");
        scene.refuses("update t set v = 'y'", state::NULL_KEY, &["public.t", "tap", "a"]);
        scene.refuses("delete from t", state::NULL_KEY, &["public.t", "tap", "a"]);
        scene.writes_data("insert into t values (null, null)", &["(a,v) values (null,null)"]);
        scene.refuses("update t set a = 1", state::KEY_UPDATE, &["public.t", "tap", "a"]);
        // Whether the event is wanted is asked later; an update that is not looked at has no key.
        scene.capture("t", "sqltriga('q', 'pkey=a', 'when=false')");
        scene.refuses("update t set v = 'y'", state::NULL_KEY, &["public.t", "tap", "a"]);
        scene.capture("t", "sqltriga('q', 'pkey=a', 'ignore=v')");
        scene.writes("update t set v = 'y'", &[]);
        for (function, update, delete) in
            [("logutriga", "a&v=y", "a&v=y"), ("jsontriga", r#"{"a":null,"v":"y"}"#, r#"{"a":null,"v":"y"}"#)]
        {
            scene.exec("drop trigger tap on t; truncate t; insert into t values (null, 'x')");
            scene.capture("t", &format!("{function}('q', 'pkey=a')"));
            scene.writes_data("update t set v = 'y'", &[update]);
            scene.refuses("update t set a = 1", state::KEY_UPDATE, &["public.t", "tap", "a"]);
            scene.writes_data("delete from t", &[delete]);
        }
    }
}

#[test]
fn a_url_leaves_letters_digits_and_three_signs_as_they_are() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(r#"create table t (id int primary key, "n a%e" text)"#);
        scene.capture("t", "logutriga('q')");
        scene
            .exec("insert into t select 1, string_agg(chr(n), '' order by n) from generate_series(1, 255) n");
        let data = scene.events().remove(0).data.unwrap();
        let text: String = (1..=255).map(char::from).collect();
        let encoded: String = text
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                b'_' | b'.' | b'-' => char::from(byte).to_string(),
                _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                _ => format!("%{byte:02x}"),
            })
            .collect();
        assert_eq!(data, format!("id=1&n+a%25e={encoded}"), "{}", scene.whose());
    }
}

#[test]
fn json_escapes_control_characters_quotes_and_backslashes_only() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(r#"create table "t""\" (id int primary key, "n""\" text)"#);
        scene.capture(r#""t""\""#, "jsontriga('q')");
        scene.exec(
            r#"insert into "t""\" select 1, string_agg(chr(n), '' order by n) from generate_series(1, 255) n"#,
        );
        let event = scene.events().remove(0);
        let text: String = (1..=255).map(char::from).collect();
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '\u{8}' => "\\b".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '"' | '\\' => format!("\\{c}"),
                c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        assert_eq!(event.data.unwrap(), format!(r#"{{"id":1,"n\"\\":"{escaped}"}}"#), "{}", scene.whose());
        assert_eq!(
            event.kind.unwrap(),
            r#"{"op":"INSERT","table":["public","t\"\\"],"pkey":["id"]}"#,
            "{}",
            scene.whose()
        );
    }
}

#[test]
fn json_has_numbers_booleans_and_iso_dates_of_just_those_types() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(
            "create domain di as int; create domain db as bool; create domain dd as date;
             create table t (i2 int2, i4 int4, i8 int8, b bool, d date, ts timestamp, tz timestamptz,
                             o oid, n numeric, f float8, m money, j jsonb, a int[], di di, db db, dd dd)",
        );
        scene.capture("t", "jsontriga('q')");
        scene.exec("set timezone = 'Europe/Helsinki'");
        scene.writes_data(
            "insert into t values (-1, 2, 9223372036854775807, true, '2024-02-29', '2024-02-29 12:34:56.789',
                                   '2024-07-01 12:34:56.5+00', 7, 1.10, 1e300, 5, '{\"b\":[1,2]}', '{1,null}',
                                   3, false, '2024-02-29')",
            &[r#"{"i2":-1,"i4":2,"i8":9223372036854775807,"b":true,"d":"2024-02-29","ts":"2024-02-29T12:34:56.789","tz":"2024-07-01T15:34:56.5+03:00","o":"7","n":"1.10","f":"1e+300","m":"$5.00","j":"{\"b\": [1, 2]}","a":"{1,NULL}","di":"3","db":"f","dd":"2024-02-29"}"#],
        );
        scene.exec("alter table t drop i2, drop i4, drop i8, drop b, drop o, drop n, drop m, drop j, drop a");
        scene.exec("alter table t drop di, drop db, drop dd");
        for (d, ts, tz, f, expected) in [
            (
                "infinity",
                "infinity",
                "-infinity",
                "NaN",
                r#"{"d":"infinity","ts":"infinity","tz":"-infinity","f":"NaN"}"#,
            ),
            (
                "0044-03-15 BC",
                "0044-03-15 12:00:00.000001 BC",
                "0044-03-15 12:00+00 BC",
                "-0",
                r#"{"d":"0044-03-15 BC","ts":"0044-03-15T12:00:00.000001 BC","tz":"0044-03-15T13:39:49+01:39:49 BC","f":"-0"}"#,
            ),
            (
                "294276-12-31",
                "294276-12-31 23:59:59.999999",
                "10000-01-01 00:00+00",
                "-Infinity",
                r#"{"d":"294276-12-31","ts":"294276-12-31T23:59:59.999999","tz":"10000-01-01T02:00:00+02:00","f":"-Infinity"}"#,
            ),
        ] {
            for style in ["ISO, MDY", "German", "SQL, DMY", "Postgres, YMD"] {
                scene.exec(&format!("set datestyle = '{style}'"));
                let insert = format!("insert into t values ('{d}', '{ts}', '{tz}', '{f}')");
                scene.writes_data(&insert, &[expected]);
            }
        }
    }
}

#[test]
fn sql_text_can_be_read_whatever_the_session_thinks_of_backslashes() {
    for mut scene in Scene::on_each("formats") {
        scene.exec(r#"create table t ("user" int primary key, "a$" text, "été" text, zone text, _x text)"#);
        scene.capture("t", "sqltriga('q')");
        for setting in ["on", "off"] {
            scene.exec(&format!("set standard_conforming_strings = {setting}"));
            scene.writes_data(
                r"insert into t values (1, E'\\', E'''', E'\\''', 'plain')",
                &[r#"("user","a$","été",zone,_x) values ('1',E'\\','''',E'\\''','plain')"#],
            );
            scene.writes_data(r"update t set zone = E'C:\\'", &[r#"zone=E'C:\\' where "user"='1'"#]);
            scene.writes_data("delete from t", &[r#""user"='1'"#]);
        }
    }
}
