//! Typed normalizing flows for microcontrollers.
#![no_std]
