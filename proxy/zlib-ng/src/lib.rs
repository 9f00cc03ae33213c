//! The part of `libz-ng-sys` that `flate2` calls, over `zlib-rs`.
//!
//! Why: `pingora-core` turns on `flate2/zlib-ng`, whose own crate runs cmake. This stand-in has the same
//! names and the same memory layout (`zlib.h`, `struct z_stream_s`), so that a Rust toolchain is enough.
//! The one difference in type: `zlib-rs` lets the allocation callbacks be null, `libz-ng-sys` does not.
#![allow(non_camel_case_types, non_snake_case, reason = "the names are zlib's")]
#![allow(clippy::missing_safety_doc, reason = "the contracts are zlib's")]

use core::ffi::{c_char, c_int, c_uint, c_void};

pub use libz_rs_sys::{
    Bytef, Z_BLOCK, Z_BUF_ERROR, Z_DATA_ERROR, Z_DEFAULT_STRATEGY, Z_DEFLATED, Z_FINISH, Z_FULL_FLUSH,
    Z_MEM_ERROR, Z_NEED_DICT, Z_NO_FLUSH, Z_OK, Z_PARTIAL_FLUSH, Z_STREAM_END, Z_STREAM_ERROR, Z_SYNC_FLUSH,
    internal_state, uInt, uLong,
};

pub type voidpf = *mut c_void;
pub type alloc_func = unsafe extern "C" fn(voidpf, uInt, uInt) -> voidpf;
pub type free_func = unsafe extern "C" fn(voidpf, voidpf);

/// `struct z_stream_s` of `zlib.h`.
#[repr(C)]
pub struct z_stream {
    pub next_in: *mut Bytef,
    pub avail_in: uInt,
    pub total_in: uLong,
    pub next_out: *mut Bytef,
    pub avail_out: uInt,
    pub total_out: uLong,
    pub msg: *mut c_char,
    pub state: *mut internal_state,
    pub zalloc: alloc_func,
    pub zfree: free_func,
    pub opaque: voidpf,
    pub data_type: c_int,
    pub adler: uLong,
    pub reserved: uLong,
}

pub type z_streamp = *mut z_stream;

const _: () = assert!(size_of::<z_stream>() == size_of::<libz_rs_sys::z_stream>());
const _: () = assert!(align_of::<z_stream>() == align_of::<libz_rs_sys::z_stream>());

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        pub unsafe fn $name(stream: z_streamp $(, $arg: $type)*) -> c_int {
            // SAFETY: the two stream types have one layout (asserted above) and the caller keeps zlib's contract.
            unsafe { libz_rs_sys::$name(stream.cast() $(, $arg)*) }
        }
    )*};
}

forward! {
    deflate(flush: c_int);
    deflateEnd();
    deflateInit2_(level: c_int, method: c_int, bits: c_int, mem: c_int, strategy: c_int, version: *const c_char, size: c_int);
    deflateParams(level: c_int, strategy: c_int);
    deflateReset();
    deflateSetDictionary(dictionary: *const Bytef, length: c_uint);
    inflate(flush: c_int);
    inflateEnd();
    inflateInit2_(bits: c_int, version: *const c_char, size: c_int);
    inflateReset2(bits: c_int);
    inflateSetDictionary(dictionary: *const Bytef, length: c_uint);
}

pub fn zlibVersion() -> *const c_char {
    libz_rs_sys::zlibVersion()
}
