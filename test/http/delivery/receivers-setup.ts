/** Settings for the tests of webhook receivers. */

export const SETTINGS = { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_RETRY_SECONDS: '1' };
