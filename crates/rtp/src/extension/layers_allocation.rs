use proto::{NoSpace, Reader, Writer};

use super::bits::{BitReader, BitWriter};
use super::{Kind, Resolution, Value};

/// Which layers a sender sends on which of its streams, and at what rate (video-layers-allocation00).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LayersAllocation {
    /// The stream that carries this, 0 to 3.
    pub stream: u8,
    streams: u8,
    layers: [SpatialLayer; MAX_LAYERS],
    len: u8,
}

/// A layer of one resolution in a stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SpatialLayer {
    /// Which stream it is sent on, 0 to 3.
    pub stream: u8,
    /// Which of the stream's layers it is, 0 to 3.
    pub spatial_id: u8,
    /// How many layers of time it has, 1 to 4.
    pub temporal_layers: u8,
    /// What it takes to receive the layer up to each layer of time, in kbit/s.
    pub kbps: [u32; 4],
    /// Its size and how many frames it has in a second. Either all layers say so or none.
    pub resolution: Option<(Resolution, u8)>,
}

impl SpatialLayer {
    /// The rates of the layers of time that there are.
    pub fn rates(&self) -> &[u32] {
        self.kbps.get(..self.temporal_layers.into()).unwrap_or_default()
    }
}

impl LayersAllocation {
    /// Of `layers`, which stand in the order of their streams and then of their spatial layers. `streams` is
    /// how many streams there are, active or not. With no layer nothing is sent.
    ///
    /// `None` if numbers are outside of their ranges, the order is another, or only some have a resolution.
    pub fn new(stream: u8, streams: u8, layers: &[SpatialLayer]) -> Option<Self> {
        let place = |layer: &SpatialLayer| layer.stream << 2 | layer.spatial_id;
        let in_range = |layer: &SpatialLayer| {
            layer.stream < streams && layer.spatial_id < 4 && matches!(layer.temporal_layers, 1..=4)
        };
        let sized = layers.iter().filter(|layer| layer.resolution.is_some()).count();
        let good = matches!(streams, 1..=4)
            && stream < streams
            && layers.iter().all(in_range)
            && layers.is_sorted_by(|a, b| place(a) < place(b))
            && (sized == 0 || sized == layers.len());
        // An empty allocation is one byte of zero, which says nothing else.
        if !good || (layers.is_empty() && (stream, streams) != (0, 1)) {
            return None;
        }
        let mut it = Self { stream, streams, layers: [SpatialLayer::default(); MAX_LAYERS], len: 0 };
        it.layers.get_mut(..layers.len())?.copy_from_slice(layers);
        it.len = u8::try_from(layers.len()).ok()?;
        for layer in it.layers.iter_mut() {
            let unused = layer.kbps.get_mut(layer.temporal_layers.into()..).unwrap_or_default();
            unused.fill(0);
        }
        Some(it)
    }

    /// How many streams there are, active or not.
    pub const fn streams(&self) -> u8 {
        self.streams
    }

    /// The active layers, by stream and then by spatial layer.
    pub fn layers(&self) -> &[SpatialLayer] {
        self.layers.get(..self.len.into()).unwrap_or_default()
    }

    /// Which spatial layers of a stream are active, the lowest in bit 0.
    fn mask(&self, stream: u8) -> u8 {
        let layers = self.layers().iter().filter(|layer| layer.stream == stream);
        layers.fold(0, |mask, layer| mask | 1_u8.wrapping_shl(layer.spatial_id.into()))
    }

    fn common_mask(&self) -> u8 {
        let first = self.mask(0);
        if (1..self.streams).all(|stream| self.mask(stream) == first) { first } else { 0 }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes == [0] {
            return Self::new(0, 1, &[]);
        }
        let mut bits = BitReader::new(bytes);
        let stream = bits.byte(2).ok()?;
        let streams = bits.byte(2).ok()?.saturating_add(1);
        let common = bits.byte(4).ok()?;
        let mut head = 1;
        let mut masks = [common; 4];
        if common == 0 {
            for mask in masks.iter_mut().take(streams.into()) {
                *mask = bits.byte(4).ok()?;
            }
            head = 1_usize.saturating_add(usize::from(streams).div_ceil(2));
        }
        let mut layers = [SpatialLayer::default(); MAX_LAYERS];
        let mut len = 0;
        for (stream, mask) in (0..streams).zip(masks) {
            for spatial_id in (0..4).filter(|id| mask & 1_u8.wrapping_shl(u32::from(*id)) != 0) {
                *layers.get_mut(len)? = SpatialLayer { stream, spatial_id, ..SpatialLayer::default() };
                len = len.saturating_add(1);
            }
        }
        let layers = layers.get_mut(..len).filter(|layers| !layers.is_empty())?;
        let mut bits = BitReader::new(bytes.get(head..)?);
        for layer in layers.iter_mut() {
            layer.temporal_layers = bits.byte(2).ok()?.saturating_add(1);
        }
        let mut reader = Reader::new(bytes.get(head.saturating_add(len.div_ceil(4))..)?);
        for layer in layers.iter_mut() {
            for rate in layer.kbps.iter_mut().take(layer.temporal_layers.into()) {
                *rate = leb128(&mut reader)?;
            }
        }
        if !reader.is_empty() {
            for layer in layers.iter_mut() {
                let (width, height) = (reader.u16().ok()?, reader.u16().ok()?);
                layer.resolution = Some((Resolution::of_fields(width, height), reader.u8().ok()?));
            }
        }
        Self::new(stream, streams, layers)
    }
}

impl Value<'_> for LayersAllocation {
    const KIND: Kind = Kind::LayersAllocation;

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        if self.layers().is_empty() {
            return out.put_u8(0);
        }
        let common = self.common_mask();
        let mut bits = BitWriter::new(out);
        bits.bits(self.stream.into(), 2)?;
        bits.bits(self.streams.saturating_sub(1).into(), 2)?;
        bits.bits(common.into(), 4)?;
        if common == 0 {
            (0..self.streams).try_for_each(|stream| bits.bits(self.mask(stream).into(), 4))?;
        }
        bits.finish()?;
        let mut bits = BitWriter::new(out);
        let counts = self.layers().iter().map(|layer| layer.temporal_layers.saturating_sub(1));
        counts.into_iter().try_for_each(|count| bits.bits(count.into(), 2))?;
        bits.finish()?;
        let mut rates = self.layers().iter().flat_map(SpatialLayer::rates);
        rates.try_for_each(|rate| put_leb128(out, *rate))?;
        for (resolution, frame_rate) in self.layers().iter().filter_map(|layer| layer.resolution) {
            let (width, height) = resolution.fields();
            out.put_u16(width)?;
            out.put_u16(height)?;
            out.put_u8(frame_rate)?;
        }
        Ok(())
    }
}

/// Seven bits a byte, the lowest first (AV1 §4.10.5); what does not go into 32 bits is refused.
fn leb128(reader: &mut Reader<'_>) -> Option<u32> {
    let mut value = 0_u64;
    for place in 0..8_u32 {
        let byte = reader.u8().ok()?;
        value |= u64::from(byte & 0x7f).wrapping_shl(place.saturating_mul(7));
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

fn put_leb128(out: &mut Writer<'_>, mut value: u32) -> Result<(), NoSpace> {
    loop {
        let [.., low] = value.to_be_bytes();
        value >>= 7;
        if value == 0 {
            return out.put_u8(low & 0x7f);
        }
        out.put_u8(low | 0x80)?;
    }
}

const MAX_LAYERS: usize = 16;
