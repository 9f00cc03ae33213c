//! Tests of the certificate side.
