//! `docs/reference.md`: every object with its COMMENT, as the catalog has them. And `docs/sql.md`, the overview by topic,
//! which says of each function what its COMMENT says.
//!
//! With `PGQ_WRITE_REFERENCE` set (`make reference`) the reference is written instead of compared.

use crate::surface::{EXTENSIONS, with_all};
use pgq_tests::client::Session;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

const HEAD: &str = "# Reference\n\n\
    Every function, table and view, as `COMMENT ON` describes them in the database. Written by `make reference`, compared\n\
    by a test. By topic: [sql.md](sql.md); each file in `sql/*/functions/` tells parameters and errors, too.\n";

/// Everything in the schemas of the extensions, in the order of the alphabet.
fn rendered(session: &mut Session) -> String {
    let mut text = HEAD.to_owned();
    for extension in EXTENSIONS {
        let about: String = session.one(
            "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1",
            &[&extension],
        );
        text += &format!("\n## {extension}\n\n{about}\n");
        text += &functions(session, extension);
        text += &relations(session, extension);
    }
    text
}

fn functions(session: &mut Session, schema: &str) -> String {
    let rows = session.rows(
        "select format('%s(%s) → %s', p.proname, given.list,
                       coalesce(concat(case when p.proretset then 'setof ' end, '(') || told.list || ')',
                                replace(pg_get_function_result(p.oid), 'SETOF', 'setof'))),
                obj_description(p.oid, 'pg_proc'),
                (select string_agg(coalesce(r.rolname, 'everybody'), ', ' order by r.rolname)
                   from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                   left join pg_roles r on r.oid = a.grantee
                  where a.grantee <> p.proowner)
           from pg_proc p
           join pg_namespace n on n.oid = p.pronamespace
          cross join lateral (
                select coalesce(string_agg(concat_ws(' ', p.proargnames[i], format_type(t.type, null),
                                                     'default ' || pg_get_function_arg_default(p.oid, i::int)),
                                           ', ' order by i), '') as list
                  from unnest(p.proargtypes::oid[]) with ordinality t (type, i)) given
          cross join lateral (
                select string_agg(concat_ws(' ', p.proargnames[i], format_type(t.type, null)), ', ' order by i) as list
                  from unnest(p.proallargtypes) with ordinality t (type, i)
                 where p.proargmodes[i] = 'o') told
          where n.nspname = $1
          order by p.proname, p.pronargs, given.list",
        &[&schema],
    );
    let mut text = "\n### functions, and whom they are for\n\n".to_owned();
    for row in rows {
        let (signature, comment): (String, String) = (row.get(0), row.get(1));
        let who: Option<String> = row.get(2);
        let who = who.unwrap_or_else(|| "its owner".to_owned());
        text += &format!("- `{signature}`\n  — {comment} *{who}*\n");
    }
    text
}

fn relations(session: &mut Session, schema: &str) -> String {
    let rows = session.rows(
        "select c.oid, c.oid::regclass::text, case c.relkind when 'v' then 'view' else 'table' end,
                obj_description(c.oid, 'pg_class')
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = $1 and c.relkind in ('r', 'v')
          order by c.relname",
        &[&schema],
    );
    let mut text = String::new();
    for row in rows {
        let (oid, name): (u32, String) = (row.get(0), row.get(1));
        let (kind, comment): (String, String) = (row.get(2), row.get(3));
        text += &format!("\n### {kind} `{name}`\n\n{comment}\n\n| column | type | |\n|---|---|---|\n");
        let columns: Vec<String> = session.column(
            "select format('| `%s` | %s | %s |', attname, format_type(atttypid, atttypmod),
                           col_description(attrelid, attnum))
               from pg_attribute
              where attrelid = $1 and attnum > 0 and not attisdropped
              order by attnum",
            &[&oid],
        );
        columns.iter().for_each(|column| text += &format!("{column}\n"));
    }
    text
}

#[test]
fn the_reference_is_what_the_catalog_says() {
    let database = with_all("reference");
    let rendered = rendered(&mut database.connect());
    let path = document("reference.md");
    if std::env::var_os("PGQ_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, rendered).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let differing = rendered.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(rendered == written, "make reference writes it anew; first difference: {differing:?}");
}

/// `[text](target)` becomes `text`.
fn without_links(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let (text, after) = link.split_once("](").expect("a link");
        plain.push_str(before);
        plain.push_str(text);
        rest = after.split_once(')').expect("the end of a link").1;
    }
    plain + rest
}

/// The rows ``| `name(types)` | comment |``, those under a heading `## schema: …` in that schema, others in `pgq`.
fn in_the_overview(text: &str) -> BTreeSet<(String, String)> {
    let mut schema = "pgq";
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let named = title.split_once(':').map_or("", |(first, _)| first);
            schema = EXTENSIONS.into_iter().find(|name| *name == named).unwrap_or("pgq");
        } else if let Some((signature, comment)) =
            line.strip_prefix("| `").and_then(|row| row.strip_suffix(" |")?.split_once("` | "))
        {
            let function = (format!("{schema}.{signature}"), without_links(comment));
            assert!(found.insert(function), "twice: {line}");
        }
    }
    found
}

#[test]
fn the_overview_has_every_function_with_its_comment() {
    let database = with_all("overview");
    let rows = database.connect().rows(
        "select format('%s.%s(%s)', n.nspname, p.proname,
                       replace(pg_catalog.array_to_string(p.proargtypes::regtype[], ', '),
                               'timestamp with time zone', 'timestamptz')),
                obj_description(p.oid, 'pg_proc')
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname = any ($1)",
        &[&EXTENSIONS.as_slice()],
    );
    let there: BTreeSet<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let told = in_the_overview(&std::fs::read_to_string(document("sql.md")).unwrap());
    let missing: Vec<_> = there.difference(&told).collect();
    let wrong: Vec<_> = told.difference(&there).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "not in sql.md: {missing:#?}\nonly in sql.md: {wrong:#?}"
    );
}
