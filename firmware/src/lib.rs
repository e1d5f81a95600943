//! The application on a board.
#![no_std]
