//! trackway-abi
