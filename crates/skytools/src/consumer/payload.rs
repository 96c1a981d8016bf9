//! What an event carries, as values of your own types.

use std::borrow::Cow;

use pgq_core::Change;
use pgq_core::change::Fields;
use pgq_core::codec::{Row, urlencoded};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};

use crate::consumer::Event;
use crate::{Error, Result};

impl Event {
    /// `ev_data` as a value: JSON, or a url-encoded row. The two cannot be taken for each other, as no row begins with
    /// `{`, `[` or `"`.
    ///
    /// The columns of a row are texts, which are read as what the fields of `T` are: `t` and `f` as booleans, digits as
    /// numbers. An `Option` is `None` where the row has NULL, or no such column.
    ///
    /// # Errors
    /// There is no data, or it does not fit.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        let unfit = |why: String| Error::bad(format!("event {}: ev_data {why}", self.id()));
        let data = self.data().ok_or_else(|| unfit("is NULL".to_owned()))?;
        if data.trim_start().starts_with(['{', '[', '"']) {
            return serde_json::from_str(data).map_err(|error| unfit(error.to_string()));
        }
        let row = urlencoded::decode(data.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        from_columns(&row).map_err(|error| unfit(error.to_string()))
    }

    /// The change of a table that a trigger has made this event of, whichever trigger it was.
    ///
    /// # Errors
    /// The event is none of a trigger.
    pub fn change(&self) -> Result<Change> {
        let fields = Fields {
            ev_type: self.kind().map(str::as_bytes),
            ev_data: self.data().map(str::as_bytes),
            ev_extra1: self.extra1().map(str::as_bytes),
            ev_extra2: self.extra2().map(str::as_bytes),
        };
        Change::decode(&fields).map_err(|error| Error::bad(format!("event {}: {error}", self.id())))
    }
}

/// A row, as of a [`Change`], as a value; of columns with the same name the last counts.
///
/// # Errors
/// A column does not fit its field, or one is missing.
pub fn from_columns<T: DeserializeOwned>(row: &Row) -> Result<T> {
    let is_last = |at: usize| row[at + 1..].iter().all(|(name, _)| *name != row[at].0);
    let columns =
        row.iter().enumerate().filter(|(at, _)| is_last(*at)).map(|(_, (name, value))| {
            (String::from_utf8_lossy(name), Column { name, value: value.as_deref() })
        });
    T::deserialize(MapDeserializer::new(columns)).map_err(|error: Unfit| Error::bad(error.to_string()))
}

/// Why a row is not the value wished for.
type Unfit = serde::de::value::Error;

/// A column's value, to be read as whatever is asked for.
struct Column<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

impl<'a> Column<'a> {
    fn unfit(&self, why: &str) -> Unfit {
        Unfit::custom(format!("column {}: {why}", String::from_utf8_lossy(self.name)))
    }

    fn text(&self) -> Result<&'a str, Unfit> {
        let value = self.value.ok_or_else(|| self.unfit("NULL where a value is needed"))?;
        std::str::from_utf8(value).map_err(|_| self.unfit("no valid UTF-8"))
    }

    fn number<N: std::str::FromStr>(&self) -> Result<N, Unfit> {
        let text = self.text()?;
        text.parse().map_err(|_| self.unfit(&format!("{text:?} is no number of this kind")))
    }
}

/// Numbers of all sizes are parsed alike.
macro_rules! numbers {
    ($($deserialize:ident $visit:ident),+ $(,)?) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            visitor.$visit(self.number()?)
        })+
    };
}

impl<'de> Deserializer<'de> for Column<'_> {
    type Error = Unfit;

    numbers! {
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_i128 visit_i128, deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32,
        deserialize_u64 visit_u64, deserialize_u128 visit_u128, deserialize_f32 visit_f32,
        deserialize_f64 visit_f64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.text()? {
            "t" | "true" => visitor.visit_bool(true),
            "f" | "false" => visitor.visit_bool(false),
            other => Err(self.unfit(&format!("{other:?} is neither t nor f"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if self.value.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if self.value.is_none() { visitor.visit_unit() } else { visitor.visit_str(self.text()?) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_enum(Cow::Borrowed(self.text()?).into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a> IntoDeserializer<'_, Unfit> for Column<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde::Deserialize;

    use super::*;

    fn with_data(data: &str) -> Event {
        let texts = [Some("U:id"), Some(data), Some("public.orders"), None, None, None];
        Event::new("q".into(), 7, Timestamp::UNIX_EPOCH, 1, None, texts)
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Open,
        Paid,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        id: i64,
        price: f64,
        paid: bool,
        state: State,
        note: Option<String>,
        memo: Option<String>,
        quantity: Option<u8>,
        created: String,
    }

    #[test]
    fn a_row_is_read_as_what_the_fields_are() {
        let data = "id=7&price=1.50&paid=t&state=open&note&memo=&created=2024-03-09+12:30:01%2b02&unknown=1";
        let order = Order {
            id: 7,
            price: 1.5,
            paid: true,
            state: State::Open,
            note: None,
            memo: Some(String::new()),
            quantity: None,
            created: "2024-03-09 12:30:01+02".to_owned(),
        };
        assert_eq!(with_data(data).payload::<Order>().unwrap(), order);
    }

    #[test]
    fn json_is_read_as_such() {
        let data = r#" {"id":7,"price":1.5,"paid":true,"state":"paid","note":null,"memo":"","created":"x"}"#;
        let order: Order = with_data(data).payload().unwrap();
        assert_eq!((order.paid, order.state, order.memo.as_deref()), (true, State::Paid, Some("")));
    }

    #[test]
    fn a_map_takes_every_row_and_the_last_of_two_columns_counts() {
        let row: BTreeMap<String, Option<String>> = with_data("k=1&k=2&a%26b").payload().unwrap();
        let expected = [("a&b".to_owned(), None), ("k".to_owned(), Some("2".to_owned()))];
        assert_eq!(row, BTreeMap::from(expected));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_column() {
        let fails = |data| with_data(data).payload::<Order>().unwrap_err().to_string();
        assert_eq!(fails("id=7x"), "event 7: ev_data column id: \"7x\" is no number of this kind");
        assert_eq!(fails("id"), "event 7: ev_data column id: NULL where a value is needed");
        assert_eq!(fails("paid=maybe"), "event 7: ev_data column paid: \"maybe\" is neither t nor f");
        assert_eq!(fails("id=%4"), "event 7: ev_data %00 to %ff expected at byte 4");
        assert!(fails("id=7").contains("missing field"));
    }

    #[test]
    fn the_event_of_a_trigger_is_a_change() {
        let change = with_data("id=7&note").change().unwrap();
        assert_eq!(&*change.table.dotted(), b"public.orders");
        assert_eq!(change.key, Some(vec![b"id".to_vec()]));
        let row: BTreeMap<String, Option<i32>> = from_columns(&change.columns).unwrap();
        assert_eq!(row["id"], Some(7));
        assert!(with_data("id=%4").change().is_err());
    }
}
