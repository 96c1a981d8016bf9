//! One-dimensional arrays as arguments and results.
#![allow(unsafe_code)]

use super::call::Call;
use super::text::Text;
use super::value::Value;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

/// The elements of a `text[]` argument, as the server holds them.
pub struct TextArray {
    elements: *const Datum,
    nulls: *const bool,
    length: usize,
}

impl TextArray {
    /// The number of elements; several dimensions count as their elements in order.
    pub fn len(&self) -> usize {
        self.length
    }

    /// An element; `None` is NULL.
    #[inline]
    pub fn get(&self, position: usize) -> Option<Datum> {
        assert!(position < self.length, "position in an array");
        // SAFETY: checked against the length with which the server filled both arrays.
        unsafe { (!*self.nulls.add(position)).then(|| *self.elements.add(position)) }
    }
}

impl Call {
    /// The elements of a `text[]` argument that are not NULL; none when the whole array is.
    pub fn texts(&self, index: usize) -> Vec<Text<'_>> {
        let array = self.text_array(index);
        let elements =
            array.iter().flat_map(|array| (0..array.len()).filter_map(|position| array.get(position)));
        // SAFETY: elements of a text[] are texts, and live as long as the call.
        elements.map(|element| unsafe { Text::from_datum(element) }).collect()
    }

    /// A `text[]` argument; `None` when the whole array is NULL.
    pub fn text_array(&self, index: usize) -> Option<TextArray> {
        let datum = self.datum(index)?;
        // SAFETY: the declared type is text[]; the elements point into the detoasted array, which is in the
        // current memory context as the two arrays are, and all three outlive the call.
        unsafe {
            let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let (mut elements, mut nulls, mut length) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
            let alignment = pg_sys::TYPALIGN_INT as std::ffi::c_char;
            pg_sys::deconstruct_array(
                array,
                pg_sys::TEXTOID,
                -1,
                false,
                alignment,
                &mut elements,
                &mut nulls,
                &mut length,
            );
            Some(TextArray { elements, nulls, length: length as usize })
        }
    }
}

/// A `bigint[]` result in the making.
pub struct BigArray(Vec<i64>);

impl BigArray {
    /// An empty one with room.
    pub fn with_capacity(capacity: usize) -> Self {
        BigArray(Vec::with_capacity(capacity))
    }

    /// Adds an element.
    #[inline]
    pub fn push(&mut self, element: i64) {
        self.0.push(element);
    }
}

impl From<BigArray> for Value {
    fn from(array: BigArray) -> Value {
        Value::BigArray(array.0)
    }
}
