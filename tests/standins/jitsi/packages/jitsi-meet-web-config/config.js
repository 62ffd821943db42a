// Stand-in for upstream's config.js: the settings that lead out of the school's server, as upstream has them.
var config = {
    hosts: { domain: 'jitsi-meet.example.com', muc: 'conference.jitsi-meet.example.com' },
    bosh: 'https://jitsi-meet.example.com/http-bind',
    p2p: { enabled: true, stunServers: [ { urls: 'stun:meet-jit-si-turnrelay.jitsi.net:443' } ] },
    analytics: {},
};
