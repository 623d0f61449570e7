/// How much of a description is read; what exceeds it is an error. Together with parsing in one pass
/// this bounds the time that a description from anyone can cost.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes in total.
    pub bytes: usize,
    /// Lines.
    pub lines: usize,
    /// Lines before the first media section: what sections do not say is looked for there, for each of them.
    pub session_lines: usize,
    /// Bytes in a line.
    pub line_bytes: usize,
    /// Media sections.
    pub media: usize,
    /// Formats in a media section.
    pub formats: usize,
    /// Candidates in a media section.
    pub candidates: usize,
    /// Groups of SSRCs in a media section.
    pub source_groups: usize,
}

impl Default for Limits {
    /// Several times what browsers produce for the largest conferences.
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            lines: 10_000,
            session_lines: 500,
            line_bytes: 8 * 1024,
            media: 256,
            formats: 256,
            candidates: 1000,
            source_groups: 100,
        }
    }
}
