//! Values as text, the way any server reads them back.
//!
//! A type's output function follows the session's settings. Those that lose or confuse what was stored are overridden
//! while values are rendered: DateStyle (ISO), extra_float_digits (floats are exact), and IntervalStyle where it is
//! sql_standard, whose `-1 2:03:04` means another interval to a session of any other style. Names in values of the reg*
//! types depend on search_path, and are qualified. The other styles of intervals, bytea_output and TimeZone stay the
//! session's: every server reads all of their forms.
#![allow(unsafe_code)]

use super::guard::guarded;
use super::raw;
use super::settings::{FIXED_SEARCH_PATH, Overrides, PLAIN_QUOTING};
use super::text::Text;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, Oid};
use std::cell::UnsafeCell;
use std::ffi::CStr;

/// How the values of a type become text.
pub struct Output {
    way: Way,
    /// Whether the text names objects, as search_path sees them.
    pub names_objects: bool,
}

enum Way {
    Bool,
    Small,
    Int,
    Big,
    /// The bytes are the text.
    Bytes,
    /// By the type's output function, which may keep something in its description.
    Function(UnsafeCell<pg_sys::FmgrInfo>),
}

/// A value as text, good until the memory context is reset in which it was made.
pub enum Rendered {
    /// Digits, in the first so many bytes.
    Number([u8; 20], u8),
    /// What the server holds.
    Bytes(*const u8, usize),
}

impl Rendered {
    fn number(number: impl itoa::Integer) -> Rendered {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let mut digits = [0; 20];
        digits[..text.len()].copy_from_slice(text);
        Rendered::Number(digits, text.len() as u8)
    }
}

impl Output {
    /// How values of this type become text; what has to be kept for it is kept in the current memory context.
    pub fn of(type_id: Oid) -> Output {
        let (mut function, mut is_varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: plain look-ups by the OID of a type that a column has, which therefore exists.
        unsafe {
            pg_sys::getTypeOutputInfo(type_id, &mut function, &mut is_varlena);
            let way = match function.to_u32() {
                pg_sys::F_BOOLOUT => Way::Bool,
                pg_sys::F_INT2OUT => Way::Small,
                pg_sys::F_INT4OUT => Way::Int,
                pg_sys::F_INT8OUT => Way::Big,
                pg_sys::F_TEXTOUT | pg_sys::F_VARCHAROUT | pg_sys::F_BPCHAROUT => Way::Bytes,
                _ => {
                    let mut info = pg_sys::FmgrInfo::default();
                    pg_sys::fmgr_info_cxt(function, &mut info, pg_sys::CurrentMemoryContext);
                    Way::Function(UnsafeCell::new(info))
                }
            };
            Output { way, names_objects: names_objects(type_id) }
        }
    }
}

impl Output {
    /// A value of the type as text.
    ///
    /// # Safety
    /// It is one, and not NULL.
    pub(super) unsafe fn render(&self, value: Datum) -> Rendered {
        match &self.way {
            Way::Bool => {
                let letter: &'static [u8] = if value.value() & 0xff != 0 { b"t" } else { b"f" };
                Rendered::Bytes(letter.as_ptr(), letter.len())
            }
            Way::Small => Rendered::number(value.value() as i16),
            Way::Int => Rendered::number(value.value() as i32),
            Way::Big => Rendered::number(value.value() as i64),
            Way::Bytes => {
                // SAFETY: such a type is a varlena of plain bytes; a copy, if one is made, is in the current context.
                let text = unsafe { Text::from_datum(value) };
                Rendered::Bytes(text.0.as_ptr(), text.0.len())
            }
            Way::Function(info) => {
                // SAFETY: the function takes values of this type, and answers with a NUL-terminated string in the current
                // memory context. A value whose output comes back here would find its description in use, which the
                // server's own callers of output functions do not mind either.
                let text = guarded(|| unsafe { raw::OutputFunctionCall(info.get(), value) });
                // SAFETY: as above.
                let text = unsafe { CStr::from_ptr(text) }.to_bytes();
                Rendered::Bytes(text.as_ptr(), text.len())
            }
        }
    }
}

impl std::ops::Deref for Rendered {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Rendered::Number(digits, length) => &digits[..usize::from(*length)],
            // SAFETY: the bytes live in the memory context in which they were rendered, or in the value itself.
            Rendered::Bytes(start, length) => unsafe { std::slice::from_raw_parts(*start, *length) },
        }
    }
}

/// Whether values of the type are, or contain, names of objects. Composite types may get such a part at any time.
pub(super) fn names_objects(type_id: Oid) -> bool {
    // SAFETY: look-ups by the OID of a type that exists.
    unsafe {
        let base = pg_sys::getBaseType(type_id);
        match base {
            pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGCLASSOID
            | pg_sys::REGCOLLATIONOID
            | pg_sys::REGTYPEOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID => return true,
            _ => {}
        }
        let part = match pg_sys::get_typtype(base) as u8 {
            pg_sys::TYPTYPE_COMPOSITE => return true,
            pg_sys::TYPTYPE_RANGE => pg_sys::get_range_subtype(base),
            pg_sys::TYPTYPE_MULTIRANGE => pg_sys::get_multirange_range(base),
            _ => pg_sys::get_element_type(base),
        };
        part != pg_sys::InvalidOid && names_objects(part)
    }
}

/// Does work that renders values, under settings with which they can be read back anywhere. Work that `names_objects`
/// is for columns of which one does.
#[inline]
pub fn exactly<R>(names_objects: bool, work: impl FnOnce() -> R) -> R {
    // SAFETY: reads the C variables of settings.
    let is_exact = unsafe {
        pg_sys::DateStyle == pg_sys::USE_ISO_DATES as i32
            && pg_sys::extra_float_digits > 0
            && pg_sys::IntervalStyle != pg_sys::INTSTYLE_SQL_STANDARD as i32
    };
    if is_exact && !names_objects { work() } else { overridden(names_objects, work) }
}

/// 0.95 us; so only where the session's settings are others.
#[cold]
fn overridden<R>(names_objects: bool, work: impl FnOnce() -> R) -> R {
    let mut settings = vec![(c"DateStyle", c"ISO"), (c"extra_float_digits", c"1")];
    // SAFETY: as above.
    if unsafe { pg_sys::IntervalStyle == pg_sys::INTSTYLE_SQL_STANDARD as i32 } {
        settings.push((c"IntervalStyle", c"postgres"));
    }
    if names_objects {
        settings.extend([FIXED_SEARCH_PATH, PLAIN_QUOTING]);
    }
    let overrides = Overrides::begin(&settings);
    let result = work();
    drop(overrides);
    result
}
