use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Lines and progress bars, one above the other. Where there is no terminal only lines are written.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    bars: MultiProgress,
}

impl Terminal {
    /// Writes a line.
    pub(crate) fn say(&self, line: &str) {
        self.bars.suspend(|| println!("{line}"));
    }

    /// Shows a bar for an upload of `size` bytes until it is dropped.
    pub(crate) fn bar(&self, name: &str, size: u64) -> Bar {
        let bar = ProgressBar::new(size).with_message(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Bar(self.bars.add(bar))
    }
}

/// A progress bar; it disappears when this is dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// `bytes` are here by now.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const TEMPLATE: &str =
    "{msg:30!} [{bar:30}] {binary_bytes:>11} of {binary_total_bytes:<11} {binary_bytes_per_sec}, {eta} left";
