/** The bypass corpus before PostgreSQL 15, whose grammar is another one. */
process.env['HP_MAJOR'] = '15';
await import('./bypass.test.ts');
