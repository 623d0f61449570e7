//! Reports as a browser writes them out: an object of objects, with the specification's names.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Dictionary, StatsId, StatsReport, Timestamp, Value};

impl Serialize for StatsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (id, dictionary) in self {
            map.serialize_entry(id.as_str(), &Entry { id, timestamp: self.timestamp, dictionary })?;
        }
        map.end()
    }
}

struct Entry<'a> {
    id: &'a StatsId,
    timestamp: Timestamp,
    dictionary: &'a Dictionary,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id.as_str())?;
        map.serialize_entry("type", self.dictionary.kind())?;
        let members = self.dictionary.members();
        map.serialize_entry("timestamp", &Value::from(self.timestamp))?;
        for (name, value) in members {
            match value {
                Some(value) => map.serialize_entry(name, &value)?,
                // Alone among all members it is there without a value, where a candidate's may not be shown.
                None if name == "address" => map.serialize_entry(name, &None::<&str>)?,
                None => {}
            }
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}
