//! The life of a program: daemon, pid file, signals, and a server that goes away meanwhile.

mod background;
mod pid_file;
mod reload;
mod rounds;
mod servers;
mod signals;
