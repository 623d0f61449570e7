use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

/// Where the bytes of uploads go.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// They are hashed and forgotten.
    Nowhere,
    /// Into this folder.
    Folder(PathBuf),
}

impl Destination {
    /// A folder, which is made if it is not there.
    pub(crate) fn folder(folder: PathBuf) -> Result<Self, String> {
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self::Folder(folder)),
            Err(error) => Err(format!("{}: {error}", folder.display())),
        }
    }

    /// A new file for an upload that the peer calls `name`; `None` where nothing is kept.
    pub(crate) fn create(&self, name: &str) -> io::Result<Option<Kept>> {
        let opened = self.open(name)?;
        Ok(opened.map(|(file, path)| Kept { file: file.into(), path, complete: false }))
    }

    /// A new file with this name or one like it, and where it is; `None` where nothing is kept.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<(std::fs::File, PathBuf)>> {
        let Self::Folder(folder) = self else { return Ok(None) };
        let (stem, extension) = safe_name(name);
        for number in 1..=MAX_NAMESAKES {
            let path = match number {
                1 => folder.join(format!("{stem}{extension}")),
                _ => folder.join(format!("{stem} ({number}){extension}")),
            };
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Some((file, path))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "there are too many files of that name"))
    }

    /// Whether anything is kept.
    pub(crate) const fn keeps(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

/// A file that an upload is written to; unless it is completed it is deleted again.
#[derive(Debug)]
pub(crate) struct Kept {
    file: File,
    path: PathBuf,
    complete: bool,
}

impl Kept {
    /// Writes the next bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// All of it was written; where.
    pub(crate) async fn complete(&mut self) -> io::Result<&Path> {
        self.file.flush().await?;
        self.complete = true;
        Ok(&self.path)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.complete {
            // Half a file is of no use; if it cannot be deleted it stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a character is no part of a name that deceives: it is seen, and turns nothing around.
pub(crate) fn is_legible(c: char) -> bool {
    !c.is_control() && !FORMATTING.contains(&c)
}

/// A name that stays within its folder on every system, in two parts: before the last dot, and from it on.
fn safe_name(name: &str) -> (String, String) {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let legible = last.chars().filter(|c| is_legible(*c));
    let clean: String = legible.map(|c| if RESERVED.contains(&c) { '_' } else { c }).collect();
    let clean = clean.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, extension) = match clean.rfind('.') {
        Some(at) if clean.len() - at <= MAX_EXTENSION => clean.split_at(at),
        Some(_) | None => (clean, ""),
    };
    let mut end = stem.len().min(MAX_STEM);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem.get(..end).unwrap_or_default().trim_end();
    // Windows takes these for devices, whatever their case and extension.
    let first = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_device = DEVICES.contains(&first.as_str())
        || (first.len() == 4 && (first.starts_with("COM") || first.starts_with("LPT")));
    let stem = match stem {
        "" => "upload".to_owned(),
        device if is_device => format!("_{device}"),
        stem => stem.to_owned(),
    };
    (stem, extension.to_owned())
}

/// Not allowed in names of files on Windows.
const RESERVED: [char; 7] = ['<', '>', ':', '"', '|', '?', '*'];
/// Characters that turn the direction of writing, so that a name reads as another, and invisible ones.
const FORMATTING: [char; 13] = [
    '\u{200b}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}',
];
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
/// Bytes; every file system takes 255 with a number and the extension.
const MAX_STEM: usize = 180;
const MAX_EXTENSION: usize = 16;
/// Files of one name, told apart by a number.
const MAX_NAMESAKES: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for (name, safe) in [
            ("photo.jpeg", "photo.jpeg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("..", "upload"),
            ("", "upload"),
            ("/", "upload"),
            (".bashrc", "bashrc"),
            ("a\0b\nc.txt", "abc.txt"),
            ("a:b?.txt", "a_b_.txt"),
            ("nul.txt", "_nul.txt"),
            ("com1", "_com1"),
            ("annex\u{202e}gpj.exe", "annexgpj.exe"),
            ("Größe 1.tar.gz", "Größe 1.tar.gz"),
            ("trailing. . .", "trailing"),
        ] {
            let (stem, extension) = safe_name(name);
            assert_eq!(format!("{stem}{extension}"), safe, "{name:?}");
        }
        let (stem, extension) = safe_name(&format!("{}.bin", "ä".repeat(500)));
        assert!(stem.len() <= MAX_STEM && stem.chars().all(|c| c == 'ä'));
        assert_eq!(extension, ".bin");
    }

    #[tokio::test]
    async fn nothing_is_overwritten_and_half_a_file_is_deleted() {
        let folder = std::env::temp_dir().join(format!("peerline-destination-{}", std::process::id()));
        let destination = Destination::folder(folder.clone()).unwrap();
        let mut first = destination.create("a.txt").unwrap().unwrap();
        first.write(b"first").await.unwrap();
        assert_eq!(first.complete().await.unwrap(), folder.join("a.txt"));
        drop(first);
        let mut second = destination.create("x/a.txt").unwrap().unwrap();
        second.write(b"second").await.unwrap();
        assert!(folder.join("a (2).txt").exists());
        drop(second);
        assert!(!folder.join("a (2).txt").exists());
        assert_eq!(std::fs::read(folder.join("a.txt")).unwrap(), b"first");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        assert!(Destination::Nowhere.create("a.txt").unwrap().is_none());
    }
}
