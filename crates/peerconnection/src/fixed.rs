use std::sync::Arc;

use session::{BundlePolicy, Identity};

use crate::{Configuration, Error, IceTransportPolicy};

/// What of a configuration stays as it is.
pub(crate) struct Fixed {
    policy: IceTransportPolicy,
    bundle_policy: BundlePolicy,
    identity: Option<Arc<Identity>>,
}

impl Fixed {
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let identity = configuration.certificate.as_ref().map(|certificate| certificate.identity.clone());
        Self {
            policy: configuration.ice_transport_policy,
            bundle_policy: configuration.bundle_policy,
            identity,
        }
    }

    pub(crate) fn check(&self, configuration: &Configuration) -> Result<(), Error> {
        let Self { policy, bundle_policy, identity } = Self::of(configuration);
        let is_same = match (&self.identity, &identity) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            // W3C WebRTC 1.0 §4.4.1.6: one that is not named stays.
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if !is_same {
            return Err(Error::Modification { what: "the certificate" });
        }
        // RFC 9429 §4.1.18.
        if bundle_policy != self.bundle_policy {
            return Err(Error::Modification { what: "the policy for bundles" });
        }
        if policy != self.policy {
            return Err(Error::Modification { what: "the policy for transports" });
        }
        Ok(())
    }
}
