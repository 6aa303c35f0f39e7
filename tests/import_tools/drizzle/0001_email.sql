ALTER TABLE `authors` ADD `email` text;--> statement-breakpoint
CREATE UNIQUE INDEX `authors_email` ON `authors` (`email`);--> statement-breakpoint
ALTER TABLE `posts` ADD `created_at` integer DEFAULT '"1970-01-01T00:00:00.000Z"' NOT NULL;--> statement-breakpoint
CREATE INDEX `posts_by_author` ON `posts` (`author`,`created_at`);