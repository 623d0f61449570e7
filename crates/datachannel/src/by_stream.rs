use sctp::StreamId;

use crate::ChannelId;

/// Which channel has which stream, in order. It takes as much memory as there are channels: most connections have few, and
/// are idle.
#[derive(Debug, Default)]
pub(crate) struct ByStream(Vec<(StreamId, ChannelId)>);

impl ByStream {
    pub(crate) fn get(&self, stream: StreamId) -> Option<ChannelId> {
        let place = self.find(stream).ok()?;
        self.0.get(place).map(|(_, id)| *id)
    }

    pub(crate) fn contains(&self, stream: StreamId) -> bool {
        self.find(stream).is_ok()
    }

    pub(crate) fn insert(&mut self, stream: StreamId, id: ChannelId) {
        match self.find(stream) {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|entry| entry.1 = id),
            Err(place) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (stream, id));
            }
        }
    }

    pub(crate) fn remove(&mut self, stream: StreamId) {
        if let Ok(place) = self.find(stream) {
            self.0.remove(place);
        }
    }

    pub(crate) fn into_streams(self) -> impl Iterator<Item = StreamId> {
        self.0.into_iter().map(|(stream, _)| stream)
    }

    fn find(&self, stream: StreamId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&stream, |(stream, _)| *stream)
    }
}
