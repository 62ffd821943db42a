var interfaceConfig = {};
