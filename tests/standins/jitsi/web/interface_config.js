var interfaceConfig = {
    APP_NAME: 'Jitsi Meet',
    DISPLAY_WELCOME_FOOTER: true,
    DISPLAY_WELCOME_PAGE_CONTENT: false,
};
