//! Watches a stream: samples that arrive over the UART, states that go out.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use flowlet_emulated::{architecture::entry, board, end};
    use flowlet_firmware::monitored::{CHANNELS, FEATURES, Linked};
    use flowlet_firmware::{Watching, frame};

    #[entry]
    fn main() -> ! {
        let mut transmitter = board::start();
        let mut application = Watching::<_, CHANNELS, { frame::max_request(CHANNELS) }>::new(Linked::new());
        defmt::info!("ready for samples of {} values, of which it makes {}", CHANNELS, FEATURES);
        application.serve(&board::INBOX, board::sleep, |frame| transmitter.send(frame));
        defmt::info!("stopped by the host: {}, {} late", application.statistics(), application.late());
        end::exit(0)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
