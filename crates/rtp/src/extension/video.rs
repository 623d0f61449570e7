use proto::{NoSpace, Reader, Writer};

use super::{Kind, Value};

/// How a picture is to be turned before it is shown (3GPP TS 26.114 §7.4.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VideoOrientation {
    /// It comes from the camera at the back.
    pub back_camera: bool,
    /// It is to be flipped horizontally.
    pub flip: bool,
    /// How far it is to be turned.
    pub rotation: Rotation,
}

/// How far a picture is to be turned clockwise, as receivers in browsers do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// 90° clockwise.
    Quarter,
    /// 180°.
    Half,
    /// 270° clockwise.
    ThreeQuarters,
}

impl Value<'_> for VideoOrientation {
    const KIND: Kind = Kind::VideoOrientation;

    fn read(bytes: &[u8]) -> Option<Self> {
        let byte = *bytes.first()?;
        let rotation = match byte & 3 {
            0 => Rotation::None,
            1 => Rotation::Quarter,
            2 => Rotation::Half,
            _ => Rotation::ThreeQuarters,
        };
        Some(Self { back_camera: byte & 8 != 0, flip: byte & 4 != 0, rotation })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let rotation = match self.rotation {
            Rotation::None => 0,
            Rotation::Quarter => 1,
            Rotation::Half => 2,
            Rotation::ThreeQuarters => 3,
        };
        out.put_u8(u8::from(self.back_camera) << 3 | u8::from(self.flip) << 2 | rotation)
    }
}

/// What kind of picture it is: the lowest bit says that it is a screen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VideoContentType(pub u8);

impl VideoContentType {
    /// Not said.
    pub const UNSPECIFIED: Self = Self(0);
    /// A screen that is shared.
    pub const SCREEN: Self = Self(1);

    /// Whether it is a screen. The other bits are experiments of the sender's.
    pub const fn is_screen(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Value<'_> for VideoContentType {
    const KIND: Kind = Kind::VideoContentType;

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first().copied().map(Self)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u8(self.0)
    }
}

/// When a frame passed the stations at its sender: milliseconds since it was captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VideoTiming {
    /// Why this frame was chosen to be timed: bit 0 by timer, bit 1 because it is large. 0xff: not valid.
    pub flags: u8,
    /// Encoding began.
    pub encode_start: u16,
    /// Encoding ended.
    pub encode_finish: u16,
    /// Packets were made.
    pub packetized: u16,
    /// The last packet left the pacer.
    pub pacer_exit: u16,
    /// Two stations in the network, for who forwards it.
    pub network: [u16; 2],
}

impl Value<'_> for VideoTiming {
    const KIND: Kind = Kind::VideoTiming;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        // An older form of twelve bytes has no flags.
        let flags = if bytes.len() == 12 { 0 } else { reader.u8().ok()? };
        let mut field = || reader.u16().ok();
        Some(Self {
            flags,
            encode_start: field()?,
            encode_finish: field()?,
            packetized: field()?,
            pacer_exit: field()?,
            network: [field()?, field()?],
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u8(self.flags)?;
        let [first, second] = self.network;
        [self.encode_start, self.encode_finish, self.packetized, self.pacer_exit, first, second]
            .into_iter()
            .try_for_each(|field| out.put_u16(field))
    }
}
