//! The comparison with a real API server, and what it is made of.

mod differ;
mod real;
mod sessions;
