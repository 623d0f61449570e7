/// Lines as descriptions have them, in the order in which they usually stand: what browsers write besides, and then an offer of the
/// codecs that most peers speak. What each section and each codec repeats stands here as often, so that one reference covers many lines.
pub(super) const USUAL: &str = "\
    a=extmap:14 urn:ietf:params:rtp-hdrext:toffset\r\n\
    a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n\
    a=extmap:6 http://www.webrtc.org/experiments/rtp-hdrext/video-content-type\r\n\
    a=extmap:7 http://www.webrtc.org/experiments/rtp-hdrext/video-timing\r\n\
    a=extmap:8 http://www.webrtc.org/experiments/rtp-hdrext/color-space\r\n\
    a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level\r\n\
    a=msid-semantic: WMS *\r\n\
    a=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=ice-options:trickle\r\n\
    a=rtcp-xr:rcvr-rtt=all\r\n\
    a=rtpmap:63 red/48000/2\r\n\
    a=fmtp:63 111/111\r\n\
    a=rtpmap:13 CN/8000\r\n\
    a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n\
    a=rtpmap:119 red/90000\r\n\
    a=rtpmap:120 ulpfec/90000\r\n\
    a=rtpmap:35 flexfec-03/90000\r\n\
    a=fmtp:35 repair-window=10000000\r\n\
    a=fmtp:120 max-fs=12288;max-fr=60\r\n\
    a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r\n\
    a=fmtp:116 profile-level-id=4d001f;level-asymmetry-allowed=1;packetization-mode=1\r\n\
    a=fmtp:39 profile-level-id=64001f\r\n\
    a=rid:hi send\r\n\
    a=simulcast:send\x20\r\n\
    a=recvonly\r\n\
    a=sendonly\r\n\
    a=inactive\r\n\
    a=bundle-only\r\n\
    a=candidate:1 1 udp 2130706431 192.168.0.1 50000 typ host generation 0 network-id 1\r\n\
    \x20typ srflx raddr 0.0.0.0 rport 0\r\n\
    \x20typ relay\x20\r\n\
    a=end-of-candidates\r\n\
    a=setup:passive\r\n\
    a=fingerprint:sha-512\x20\r\n\
    v=0\r\n\
    o=- 4611731400430051336 1 IN IP4 0.0.0.0\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=group:BUNDLE 0 1 2\r\n\
    a=ice-options:trickle ice2 renomination\r\n\
    a=extmap-allow-mixed\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8 110 126\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:0\r\n\
    a=ice-ufrag:\r\n\
    a=ice-pwd:\r\n\
    a=fingerprint:sha-256\x20\r\n\
    a=setup:actpass\r\n\
    a=tls-id:\r\n\
    a=rtcp-mux\r\n\
    a=rtcp-mux-only\r\n\
    a=rtcp-rsize\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=sendrecv\r\n\
    a=msid:-\x20\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=rtcp-fb:111 transport-cc\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\n\
    a=fmtp:110 0-15\r\n\
    a=rtpmap:126 telephone-event/8000\r\n\
    a=fmtp:126 0-15\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103 45 46 49 50\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:1\r\n\
    a=ice-ufrag:\r\n\
    a=ice-pwd:\r\n\
    a=fingerprint:sha-256\x20\r\n\
    a=setup:actpass\r\n\
    a=tls-id:\r\n\
    a=rtcp-mux\r\n\
    a=rtcp-mux-only\r\n\
    a=rtcp-rsize\r\n\
    a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:6 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n\
    a=extmap:7 urn:3gpp:video-orientation\r\n\
    a=extmap:8 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension\r\n\
    a=rtpmap:96 VP8/90000\r\n\
    a=rtcp-fb:96 goog-remb\r\n\
    a=rtcp-fb:96 transport-cc\r\n\
    a=rtcp-fb:96 ccm fir\r\n\
    a=rtcp-fb:96 nack\r\n\
    a=rtcp-fb:96 nack pli\r\n\
    a=rtpmap:97 rtx/90000\r\n\
    a=fmtp:97 apt=96\r\n\
    a=rtpmap:98 VP9/90000\r\n\
    a=rtcp-fb:98 goog-remb\r\n\
    a=rtcp-fb:98 transport-cc\r\n\
    a=rtcp-fb:98 ccm fir\r\n\
    a=rtcp-fb:98 nack\r\n\
    a=rtcp-fb:98 nack pli\r\n\
    a=fmtp:98 profile-id=0\r\n\
    a=rtpmap:99 rtx/90000\r\n\
    a=fmtp:99 apt=98\r\n\
    a=rtpmap:102 H264/90000\r\n\
    a=rtcp-fb:102 goog-remb\r\n\
    a=rtcp-fb:102 transport-cc\r\n\
    a=rtcp-fb:102 ccm fir\r\n\
    a=rtcp-fb:102 nack\r\n\
    a=rtcp-fb:102 nack pli\r\n\
    a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=rtpmap:103 rtx/90000\r\n\
    a=fmtp:103 apt=102\r\n\
    a=rtpmap:45 AV1/90000\r\n\
    a=rtcp-fb:45 goog-remb\r\n\
    a=rtcp-fb:45 transport-cc\r\n\
    a=rtcp-fb:45 ccm fir\r\n\
    a=rtcp-fb:45 nack\r\n\
    a=rtcp-fb:45 nack pli\r\n\
    a=fmtp:45 level-idx=5;profile=0;tier=0\r\n\
    a=rtpmap:46 rtx/90000\r\n\
    a=fmtp:46 apt=45\r\n\
    a=rtpmap:49 H265/90000\r\n\
    a=rtcp-fb:49 goog-remb\r\n\
    a=rtcp-fb:49 transport-cc\r\n\
    a=rtcp-fb:49 ccm fir\r\n\
    a=rtcp-fb:49 nack\r\n\
    a=rtcp-fb:49 nack pli\r\n\
    a=fmtp:49 level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST\r\n\
    a=rtpmap:50 rtx/90000\r\n\
    a=fmtp:50 apt=49\r\n\
    a=ssrc-group:FID\x20\r\n\
    a=ssrc: cname:\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:2\r\n\
    a=ice-ufrag:\r\n\
    a=ice-pwd:\r\n\
    a=fingerprint:sha-256\x20\r\n\
    a=setup:actpass\r\n\
    a=tls-id:\r\n\
    a=sctp-port:5000\r\n\
    a=max-message-size:262144\r\n\
";
